#include "study/sweep.h"

#include <algorithm>
#include <map>
#include <set>

#include "config/difference.h"
#include "config/resolve.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/files.h"
#include "core/folder.h"
#include "core/json_field.h"
#include "core/number.h"
#include "study/open_run.h"

namespace rung {
namespace {

Json plan_json(std::span<const RunConfig> members) {
  Json list = Json::array();
  for (const RunConfig& config : members) list.push_back(to_json(config));
  return {{"study", "sweep"}, {"members", list}};
}

// Records of one group, in the group's order.
std::vector<RunRecord> group_records(const Group& group, const TrainedGroup& trained) {
  const TrainConfig& train = group.members.front().train;
  const Schedule schedule = make_schedule(train, train.tokens / train.batch_tokens);
  std::vector<RunRecord> records;
  for (size_t m = 0; m < group.members.size(); ++m) {
    RunRecord r =
        make_record(trained.result.finishes.back()[m], schedule, *trained.source, trained.held_out);
    r.run = "runs/" + group.name, r.member = static_cast<int64_t>(m), r.kind = "sweep";
    r.seconds = trained.result.seconds / static_cast<double>(group.members.size());
    records.push_back(std::move(r));
  }
  return records;
}

// Members of a saved plan that lack keys, as those of an earlier build do, have their defaults.
void complete_members(Json& saved) {
  if (saved.contains("members"))
    for (Json& member : saved["members"]) member = with_defaults(member);
  if (saved.contains("rungs"))
    for (Json& rung : saved["rungs"]) complete_members(rung);
}

SweepOptimum optimum_of(const std::string& where, const RateLine& line) {
  SweepOptimum optimum{.where = where, .bowl = line_bowl(seed_means_of(line))};
  optimum.se = optimum.bowl.se;
  std::set<uint64_t> seeds;
  for (const auto& [lr, losses] : line)
    for (const auto& [seed, loss] : losses) seeds.insert(seed);
  std::vector<double> own;
  for (const uint64_t seed : seeds)
    if (const auto points = of_seed(line, seed); points.size() >= 3)
      own.push_back(line_bowl(points).log2_lr);
  if (own.size() < 2) return optimum;
  optimum.se = standard_error_of(own);
  optimum.seeds = static_cast<int64_t>(own.size());
  return optimum;
}

}  // namespace

void claim_folder(const fs::path& folder, const Json& plan, bool resume) {
  const fs::path path = folder / "study.json";
  if (fs::exists(path)) {
    Json saved = read_json(path);
    complete_members(saved);
    const Json kind = read_field(path, "study");
    if (kind != plan.at("study"))
      fail("[study] {} holds a {}, not a {}. Choose another --out.", folder.string(),
           kind.get<std::string>(), plan.at("study").get<std::string>());
    const std::string difference = difference_text(saved, plan);
    if (!difference.empty())
      fail(
          "[study] {} holds a study of other settings: {}. Resume with its own settings, or "
          "choose another --out.",
          folder.string(), difference);
    if (!resume)
      fail("[study] {} holds a study already. Use --resume to continue it, or another --out.",
           folder.string());
    return;
  }
  make_folder(folder, "study");
  write_json(path, plan);
}

TrainedGroup train_in_study(const StudyContext& context, const Group& group,
                            const std::vector<Schedule>& finishes) {
  const RunConfig& first = group.members.front();
  const fs::path folder = context.folder / "runs" / group.name;
  TrainedGroup trained{.source = context.open(first.data)};
  trained.held_out = trained.source->held_out(first.model.context, first.train.eval_tokens);
  keep_tokenizer(*trained.source, folder);
  trained.result = train_run({.members = group.members,
                              .finishes = finishes,
                              .folder = folder,
                              .label = group.name,
                              .resume = context.resume,
                              .keep_checkpoints = context.keep_checkpoints,
                              .fails_diverged = false},
                             trained.source, trained.held_out, context.machine, context.hooks);
  return trained;
}

StudyResult run_sweep(std::span<const RunConfig> members, const StudyContext& context) {
  const auto start = Clock::now();
  const int threads = context.machine.pool ? context.machine.pool->threads() : 1;
  const auto vocabulary = [&](const DataConfig& data) { return context.open(data)->vocabulary(); };
  std::vector<Group> groups = fitted_groups(members, vocabulary, threads);
  for (const Group& group : groups) check_group(group, *context.open(group.members.front().data));
  claim_folder(context.folder, plan_json(members), context.resume);
  groups = kept_groups(context.folder, std::move(groups));
  keep_places(context.folder, groups);
  const fs::path table = context.folder / "runs.csv";
  std::map<std::pair<std::string, int64_t>, RunRecord> done;
  if (context.resume && fs::exists(table))
    for (RunRecord& r : read_runs(table)) done[{r.run, r.member}] = r;
  StudyResult study;
  std::vector<std::string> points;
  for (const RunConfig& config : members) points.push_back(point_text(config));
  std::vector<std::pair<size_t, RunRecord>> placed;
  const auto collect = [&] {
    study.records.clear();
    std::vector<std::string> placed_points;
    std::stable_sort(placed.begin(), placed.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [index, record] : placed) {
      study.records.push_back(record);
      placed_points.push_back(points[index]);
    }
    fill_seed_sd(study.records, placed_points);
    write_runs(table, study.records);
  };
  for (const Group& group : groups) {
    if (const auto known = done.find({"runs/" + group.name, 0}); known != done.end()) {
      for (size_t m = 0; m < group.members.size(); ++m)
        placed.emplace_back(group.index[m],
                            done.at({"runs/" + group.name, static_cast<int64_t>(m)}));
      continue;
    }
    const TrainedGroup trained = train_in_study(context, group);
    if (trained.result.interrupted) {
      study.interrupted = true;
      break;
    }
    size_t at = 0;
    for (RunRecord& record : group_records(group, trained))
      placed.emplace_back(group.index[at++], std::move(record));
    collect();
  }
  collect();
  study.seconds = seconds_since(start);
  const auto diverged = [](const RunRecord& r) { return r.status != "ok"; };
  if (!study.interrupted && std::all_of(study.records.begin(), study.records.end(), diverged))
    fail("[sweep] Every member diverged. Lower train.lr, or set train.clip.");
  return study;
}

std::string field_text(const RunConfig& config, const std::string& key) {
  const Json value = to_json(config).at(key);
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? number_text(value.get<double>()) : value.dump();
}

std::string settings_text(const RunConfig& config, std::span<const std::string> keys,
                          std::string_view without) {
  std::string text;
  for (const std::string& key : keys)
    if (key != "train.lr" && key != "seed" && key != without)
      text += (text.empty() ? "" : " ") + key + "=" + field_text(config, key);
  return text;
}

std::vector<SweepOptimum> sweep_optima(std::span<const RunConfig> members,
                                       std::span<const RunRecord> records,
                                       std::span<const std::string> keys) {
  std::vector<std::string> order;
  std::map<std::string, RateLine> lines;
  for (size_t i = 0; i < records.size(); ++i) {
    const std::string where = settings_text(members[i], keys);
    if (!lines.contains(where)) order.push_back(where);
    RateLine& line = lines[where];
    if (std::isfinite(records[i].L)) line[members[i].train.lr][members[i].seed] = records[i].L;
  }
  std::vector<SweepOptimum> optima;
  for (const std::string& where : order)
    if (lines[where].size() >= 3) optima.push_back(optimum_of(where, lines[where]));
  return optima;
}

}  // namespace rung
