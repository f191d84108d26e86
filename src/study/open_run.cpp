#include "study/open_run.h"

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

// The population's folder and the member's place in it.
std::pair<fs::path, int64_t> find_member(const fs::path& folder, int64_t member) {
  if (!fs::is_directory(folder))
    fail("[run] The folder does not exist. Received {}.", folder.string());
  if (newest_checkpoint(folder / "checkpoints")) return {folder, member};
  if (fs::exists(folder / "runs.json")) {
    const Json members = read_field(folder / "runs.json", "members");
    if (member < 0 || member >= static_cast<int64_t>(members.size()))
      fail_usage("[run] {} has members 0 to {}. Received --member {}.", folder.string(),
                 members.size() - 1, member);
    const Json& entry = members[static_cast<size_t>(member)];
    return {folder / entry.at("folder").get<std::string>(), entry.at("member").get<int64_t>()};
  }
  fail(
      "[run] {} holds no finished checkpoint. Give a folder made by `rung train --out`, or a rung "
      "or target of a climb: sweeps keep checkpoints with --keep-checkpoints only.",
      folder.string());
}

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
  const auto [folder, member] = find_member(request.folder, request.member);
  const auto checkpoint = newest_checkpoint(folder / "checkpoints");
  if (!checkpoint)
    fail(
        "[run] {} holds no finished checkpoint. Sweeps leave their results alone unless "
        "--keep-checkpoints is given.",
        folder.string());
  const std::vector<RunConfig> members = saved_members(*checkpoint);
  if (member < 0 || member >= static_cast<int64_t>(members.size()))
    fail_usage("[run] {} has members 0 to {}. Received --member {}.", folder.string(),
               members.size() - 1, member);
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

void keep_tokenizer(const TokenSource& source, const fs::path& folder) {
  const std::string model = source.describe().value("tokenizer_model", "");
  if (model.empty()) return;
  make_folder(folder, "run");
  const bool json = model.ends_with(".json");
  write_file(folder / (json ? "tokenizer.json" : "tokenizer.model"), read_file(model));
}

}  // namespace rung
