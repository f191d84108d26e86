#include "study/open_run.h"

#include <algorithm>
#include <cmath>

#include "config/resolve.h"
#include "core/error.h"
#include "core/files.h"
#include "core/folder.h"
#include "core/json_field.h"
#include "core/json_reason.h"
#include "data/tokenizer.h"
#include "train/checkpoint.h"

namespace rung {
namespace {

std::vector<RunConfig> saved_members(const fs::path& checkpoint) {
  const fs::path path = checkpoint / "state.json";
  const Json state = read_json(path);
  std::vector<RunConfig> members;
  try {
    for (const Json& member : state.at("members"))
      members.push_back(config_from_json(member.at("config")));
  } catch (const Json::exception& error) {
    fail("[checkpoint] {} is damaged: {}. Remove it to fall back to an older one.", path.string(),
         json_reason(error));
  }
  return members;
}

// Of each member its population's folder and its place in it.
using Places = std::vector<std::pair<fs::path, int64_t>>;

Places places_of(const fs::path& folder) {
  if (!fs::is_directory(folder))
    fail("[run] The folder does not exist. Received {}.", folder.string());
  Places places;
  if (const auto checkpoint = newest_checkpoint(folder / "checkpoints")) {
    const size_t count = saved_members(*checkpoint).size();
    for (size_t m = 0; m < count; ++m) places.emplace_back(folder, m);
  } else if (fs::exists(folder / "runs.json")) {
    for (const Json& entry : read_field(folder / "runs.json", "members"))
      places.emplace_back(folder / entry.at("folder").get<std::string>(),
                          entry.at("member").get<int64_t>());
  } else {
    fail(
        "[run] {} holds no finished checkpoint. Give a folder made by `rung train --out`, or a "
        "rung or target of a climb: sweeps keep checkpoints with --keep-checkpoints only.",
        folder.string());
  }
  return places;
}

// The held-out loss in which a member ended; not a number where none is written.
double ended_loss(const Places& places, const std::pair<fs::path, int64_t>& place) {
  const fs::path file = place.first / "result.json";
  if (!fs::exists(file)) return NAN;
  const auto members = std::count_if(places.begin(), places.end(),
                                     [&](const auto& other) { return other.first == place.first; });
  const Json results =
      read_field(file, "results");  // of each finish all members, the last one last
  const auto at = static_cast<int64_t>(results.size()) - members + place.second;
  if (at < 0 || at >= static_cast<int64_t>(results.size())) return NAN;
  const Json& loss = results[static_cast<size_t>(at)].at("loss");
  return loss.is_number() ? loss.get<double>() : NAN;
}

// The nearest tokenizer at or above the run's folder.
fs::path find_tokenizer(const fs::path& folder) {
  fs::path at = fs::absolute(folder);
  for (int level = 0; level < 4; ++level, at = at.parent_path())
    for (const char* name : {"tokenizer.model", "tokenizer.json"})
      if (fs::exists(at / name)) return at / name;
  return {};
}

// The run's data; where its text is not here, as after a copy to another machine, its tokenizer.
std::shared_ptr<const TokenSource> run_source(DataConfig data, const OpenRequest& request) {
  const bool file =
      data.path != "default" && data.path != "none" && !data.path.starts_with("synthetic");
  if (file && request.reads_text && request.data_path.empty() && !fs::exists(data.path))
    fail("[run] The text that {} was trained on is not there. Received {}. Name it: --data PATH.",
         request.folder.string(), data.path);
  const bool known = data.tokenizer == "bytes" || fs::is_regular_file(data.tokenizer);
  if (file && known && !request.reads_text && !fs::exists(data.path)) {
    data.path = "none";
    data.vocabulary = given_tokenizer(data)->vocabulary();
  }
  return open_source(data, request.cache.string());
}

// A population of the chosen member alone, with its weights.
std::unique_ptr<Population> pick(const Population& all, int64_t member,
                                 std::shared_ptr<const TokenSource> source,
                                 const Machine& machine) {
  const MemberState& state = all.states[static_cast<size_t>(member)];
  auto one = std::make_unique<Population>(std::vector{state.config}, std::move(source), machine);
  one->weights.copy_(all.weights.narrow(0, member, 1));
  for (auto& [name, tensor] : one->optimizer_state)
    tensor.copy_(all.optimizer_state.at(name).narrow(0, member, 1));
  one->states[0].status = MemberStatus::running;
  one->step = all.step;
  return one;
}

}  // namespace

OpenRun open_run(const OpenRequest& request) {
  const Places places = places_of(request.folder);
  if (request.member < 0 || request.member >= static_cast<int64_t>(places.size()))
    fail_usage("[run] {} has members 0 to {}. Received --member {}.", request.folder.string(),
               places.size() - 1, request.member);
  const auto [folder, member] = places[static_cast<size_t>(request.member)];
  const auto checkpoint = newest_checkpoint(folder / "checkpoints");
  if (!checkpoint)
    fail(
        "[run] {} holds no finished checkpoint. Sweeps leave their results alone unless "
        "--keep-checkpoints is given.",
        folder.string());
  const std::vector<RunConfig> members = saved_members(*checkpoint);
  if (member < 0 || member >= static_cast<int64_t>(members.size()))
    fail("[run] runs.json of {} names member {} of {}, which has {}. Make it anew.",
         request.folder.string(), member, folder.string(), members.size());
  OpenRun run{.folder = folder, .checkpoint = *checkpoint};
  run.config = members[static_cast<size_t>(member)];
  DataConfig data = run.config.data;
  if (data.tokenizer != "bytes" && !data.tokenizer.starts_with(no_tokenizer))
    if (const fs::path model = find_tokenizer(folder); !model.empty())
      data.tokenizer = model.string();
  if (!request.data_path.empty()) data.path = request.data_path;
  if (request.held_out > 0.0) data.held_out = request.held_out;
  run.source = run_source(data, request);
  run.machine =
      make_machine(request.device.empty() ? run.config.device : request.device, request.threads);
  Population all(members, run.source, run.machine);
  load_checkpoint(all, *checkpoint);
  if (all.states[static_cast<size_t>(member)].status == MemberStatus::diverged)
    fail("[run] Member {} of {} diverged; it has no usable weights.", member, folder.string());
  run.population = pick(all, member, run.source, run.machine);
  return run;
}

MemberList list_members(const fs::path& folder) {
  const Places places = places_of(folder);
  MemberList list{.count = static_cast<int64_t>(places.size())};
  double least = INFINITY;
  for (size_t i = 0; i < places.size(); ++i)
    if (const double loss = ended_loss(places, places[i]); loss < least)
      least = loss, list.best = static_cast<int64_t>(i);
  return list;
}

void keep_tokenizer(const TokenSource& source, const fs::path& folder) {
  const std::string model = source.describe().value("tokenizer_model", "");
  if (model.empty()) return;
  make_folder(folder, "run");
  const bool json = model.ends_with(".json");
  write_file(folder / (json ? "tokenizer.json" : "tokenizer.model"), read_file(model));
}

}  // namespace rung
