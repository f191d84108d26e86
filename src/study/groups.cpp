#include "study/groups.h"

#include <algorithm>
#include <map>

#include "config/resolve.h"
#include "core/error.h"
#include "core/files.h"
#include "core/folder.h"
#include "core/json_field.h"
#include "core/progress.h"
#include "optim/optimizer.h"
#include "scaling/count.h"

namespace rung {
namespace {

std::string short_name(const RunConfig& config) {
  std::string name = fmt::format("w{}d{}-{}", config.model.width, config.model.depth,
                                 short_number(static_cast<double>(config.train.tokens)));
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

void check_tokens(const RunConfig& config, int64_t tokens, const TokenSource& source) {
  const int64_t context = config.model.context, windows = source.sequences(context);
  if (windows < 1)
    fail("[data] The training text is shorter than one window of {} tokens. Give more text.",
         context);
  if (config.data.repeat || tokens / context <= windows) return;
  fail(
      "[data] The text holds {} distinct training tokens, the run wants {}. Give more text with "
      "--data, fewer tokens, or --set data.repeat=true.",
      windows * context, tokens);
}

void check_memory(const Decoder& decoder, const RunConfig& config) {
  if (config.train.memory <= 0.0) return;
  const double least = plan_memory(decoder, config, 1, 1, 1).held();
  if (least > config.train.memory)
    fail_usage(
        "[memory] One member takes about {} at least. Received train.memory = {}. Raise it, set "
        "train.recompute=1, or lower train.batch_tokens or the shape.",
        short_amount(least, "B"), short_amount(config.train.memory, "B"));
}

// Numbers those that share a name.
void name_groups(std::vector<Group>& groups) {
  std::map<std::string, size_t> names;
  for (Group& group : groups) {
    const std::string name = short_name(group.members.front());
    const size_t same = names[name]++;
    group.name = same ? fmt::format("{}-{}", name, same + 1) : name;
  }
}

}  // namespace

Json shared_settings(const RunConfig& config) {
  Json shared = program_settings(config);
  if (config.device != "cuda") return shared;
  const Json all = to_json(config);
  for (const auto& [name, value] : all.items())
    if (name.starts_with("multipliers.")) shared[name] = value;
  return shared;
}

std::vector<Group> group_members(std::span<const RunConfig> members) {
  std::map<std::string, size_t> found;
  std::vector<Group> groups;
  for (size_t i = 0; i < members.size(); ++i) {
    const auto [at, fresh] = found.try_emplace(shared_settings(members[i]).dump(), groups.size());
    if (fresh) groups.emplace_back();
    groups[at->second].members.push_back(members[i]);
    groups[at->second].index.push_back(i);
  }
  name_groups(groups);
  return groups;
}

std::vector<Group> fitted_groups(std::span<const RunConfig> members, const Vocabulary& vocabulary,
                                 int threads) {
  std::vector<Group> fitted;
  for (const Group& group : group_members(members)) {
    const RunConfig& first = group.members.front();
    const double budget = memory_budget(first);
    const auto count = static_cast<int64_t>(group.members.size());
    const int64_t most = budget > 0.0 && count > 1
                             ? fit_members(make_decoder(first, vocabulary(first.data)), first,
                                           count, budget, threads)
                             : count;
    const int64_t parts = (count + most - 1) / most;
    for (int64_t part = 0; part < parts; ++part) {
      fitted.emplace_back();
      for (int64_t i = count * part / parts; i < count * (part + 1) / parts; ++i) {
        fitted.back().members.push_back(group.members[static_cast<size_t>(i)]);
        fitted.back().index.push_back(group.index[static_cast<size_t>(i)]);
      }
    }
  }
  name_groups(fitted);
  return fitted;
}

void keep_places(const fs::path& folder, std::span<const Group> groups) {
  std::map<size_t, Json> places;
  for (const Group& group : groups)
    for (size_t m = 0; m < group.members.size(); ++m)
      places[group.index[m]] = {{"folder", "runs/" + group.name}, {"member", m}};
  Json list = Json::array();
  for (const auto& [index, place] : places) list.push_back(place);
  make_folder(folder, "runs");
  write_json(folder / "runs.json", {{"members", list}});
}

std::vector<Group> kept_groups(const fs::path& folder, std::vector<Group> groups) {
  const fs::path file = folder / "runs.json";
  std::map<size_t, RunConfig> members;
  for (const Group& group : groups)
    for (size_t m = 0; m < group.members.size(); ++m) members[group.index[m]] = group.members[m];
  if (!fs::exists(file)) return groups;
  const Json places = read_field(file, "members");
  if (places.size() != members.size())
    fail("[runs] {} lists {} members, these settings have {}. Resume with a folder's own settings.",
         file.string(), places.size(), members.size());
  std::vector<Group> kept;
  std::map<std::string, size_t> found;
  for (size_t i = 0; i < places.size(); ++i) {
    const std::string run = places[i].at("folder").get<std::string>();
    const auto [at, fresh] = found.try_emplace(run, kept.size());
    if (fresh) kept.push_back({.name = fs::path(run).filename().string()});
    kept[at->second].members.push_back(members.at(i));
    kept[at->second].index.push_back(i);
  }
  return kept;
}

void check_group(const Group& group, const TokenSource& source) {
  const RunConfig& first = group.members.front();
  if (first.device == "cpu" && first.precision == "fp8")
    fail_usage(
        "[precision] fp8 runs on a GPU. The CPU simulates it: precision=fp32 formats.weight=e4m3 "
        "formats.activation=e4m3 formats.gradient=e5m2. Received precision fp8.");
  if (first.device == "cpu" && first.precision != "fp32" && first.precision != "fp64")
    fail_usage("[precision] The CPU trains in fp32 or fp64. Received precision {}.",
               first.precision);
  check_memory(make_decoder(first, source.vocabulary()), first);
  find_optimizer(first.train.optimizer);
  make_schedule(first.train, first.train.tokens / first.train.batch_tokens);
  check_tokens(first, first.train.tokens / first.train.batch_tokens * first.train.batch_tokens,
               source);
}

Requirements estimate(const Group& group, int64_t vocabulary, int threads) {
  const RunConfig& first = group.members.front();
  const Decoder decoder = make_decoder(first, vocabulary);
  const Counts counts = count(decoder.layout.tensors);
  const int64_t context = first.model.context, batch = first.train.batch_tokens;
  const double members = static_cast<double>(group.members.size());
  Requirements e{.N = counts.N, .N_total = counts.N_total, .steps = first.train.tokens / batch};
  e.members = static_cast<int64_t>(group.members.size());
  e.tokens = e.steps * batch;
  e.flops = members * training_flops(decoder, context) * static_cast<double>(e.tokens) /
            static_cast<double>(context);
  e.memory = fit_batch(decoder, first, e.members, memory_budget(first), threads);
  return e;
}

}  // namespace rung
