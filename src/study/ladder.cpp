#include "study/ladder.h"

#include <algorithm>
#include <cmath>

#include "config/difference.h"
#include "config/resolve.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/files.h"
#include "scaling/count.h"
#include "study/open_run.h"

namespace rung {
namespace {

Json plan_json(std::span<const RungPlan> plan) {
  Json rungs = Json::array();
  for (const RungPlan& rung : plan) {
    Json finishes = Json::array(), members = Json::array();
    for (const Schedule& s : rung.finishes)
      finishes.push_back({{"steps", s.steps}, {"warmup", s.warmup}, {"cooldown", s.cooldown}});
    for (const RunConfig& config : rung.members) members.push_back(to_json(config));
    rungs.push_back({{"name", rung.name}, {"finishes", finishes}, {"members", members}});
  }
  return {{"study", "ladder"}, {"rungs", rungs}};
}

// New steps that a finish took: its cooldown and its piece of the trunk.
double own_steps(const RungPlan& rung, size_t finish) {
  const int64_t before = finish ? rung.finishes[finish - 1].trunk() : 0;
  return static_cast<double>(rung.finishes[finish].steps - before);
}

std::vector<RunRecord> rung_records(const RungPlan& rung, const TrainedGroup& trained) {
  double total = 0.0;
  const double share = trained.result.seconds / static_cast<double>(rung.members.size());
  for (size_t k = 0; k < rung.finishes.size(); ++k) total += own_steps(rung, k);
  std::vector<RunRecord> records;
  for (size_t k = 0; k < rung.finishes.size(); ++k)
    for (size_t m = 0; m < rung.members.size(); ++m) {
      RunRecord r = make_record(trained.result.finishes[k][m], rung.finishes[k], *trained.source,
                                trained.held_out);
      r.run = "runs/" + rung.name, r.member = static_cast<int64_t>(m), r.kind = "ladder";
      r.seconds = share * own_steps(rung, k) / total;
      records.push_back(std::move(r));
    }
  return records;
}

RungPlan plan_rung(std::span<const RunConfig> members, const Shape& shape,
                   std::span<const double> ratios, const TokenSource& source) {
  RungPlan rung{.name = fmt::format("w{}d{}", shape.width, shape.depth),
                .members = {members.begin(), members.end()}};
  for (RunConfig& config : rung.members)
    config.model.width = shape.width, config.model.depth = shape.depth;
  const RunConfig& first = rung.members.front();
  const Decoder decoder = make_decoder(first, source.vocabulary());
  const double n = static_cast<double>(count(decoder.layout.tensors).N);
  const double batch = static_cast<double>(first.train.batch_tokens);
  for (const double ratio : ratios) {
    const double steps = std::ceil(ratio * n / batch);
    if (!(steps >= 10.0 && steps < 1e12))
      fail_usage(
          "[ladder] {} at {:g} tokens per parameter is {:.0f} steps of {:.0f} tokens; at least 10 "
          "are needed. Lower train.batch_tokens or raise the ratio.",
          rung.name, ratio, steps, batch);
    Schedule schedule = make_schedule(first.train, static_cast<int64_t>(steps));
    if (!rung.finishes.empty()) schedule.warmup = rung.finishes.front().warmup;
    if (!rung.finishes.empty() && schedule.trunk() < rung.finishes.back().trunk())
      fail_usage("[ladder] The branches of {} overlap. Give other --tokens-per-parameter.",
                 rung.name);
    rung.finishes.push_back(schedule);
  }
  for (RunConfig& config : rung.members) {
    config.train.tokens = rung.finishes.back().steps * first.train.batch_tokens;
    validate(config);
  }
  return rung;
}

}  // namespace

Shape parse_shape(const std::string& text) {
  const size_t cross = text.find('x');
  const auto number = [&](const std::string& part) -> int64_t {
    const bool digits = !part.empty() && part.size() < 8 &&
                        part.find_first_not_of("0123456789") == std::string::npos;
    const int64_t value = digits ? std::stoll(part) : 0;
    if (value < 1) fail_usage("[ladder] A shape is WIDTHxDEPTH, such as 64x4. Received {}.", text);
    return value;
  };
  if (cross == std::string::npos) number("");
  return {number(text.substr(0, cross)), number(text.substr(cross + 1))};
}

std::vector<RungPlan> plan_ladder(std::span<const RunConfig> members, std::span<const Shape> shapes,
                                  std::span<const double> tokens_per_parameter,
                                  const TokenSource& source) {
  if (members.empty() || shapes.empty() || tokens_per_parameter.empty())
    fail_usage("[ladder] Give at least one shape and one number of tokens per parameter.");
  Json shared = Json::array();
  for (const RunConfig& config : members) shared.push_back(shared_settings(config));
  if (const std::string varied = variety_text(shared); !varied.empty())
    fail_usage(
        "[ladder] The members of a ladder may differ in learning rate, decay, multipliers and seed "
        "only. Shapes come from --shapes. Received {}.",
        varied);
  if (members.front().train.schedule == "cosine")
    fail_usage(
        "[ladder] A ladder branches from a trunk at constant rate, which train.schedule = cosine "
        "has not. Use linear, 1-sqrt or cosine-cooldown.");
  std::vector<double> ratios(tokens_per_parameter.begin(), tokens_per_parameter.end());
  std::sort(ratios.begin(), ratios.end());
  ratios.erase(std::unique(ratios.begin(), ratios.end()), ratios.end());
  std::vector<RungPlan> plan;
  for (const Shape& shape : shapes) {
    plan.push_back(plan_rung(members, shape, ratios, source));
    for (size_t i = 0; i + 1 < plan.size(); ++i)
      if (plan[i].name == plan.back().name)
        fail_usage("[ladder] A shape is given twice. Received {}.", plan.back().name);
    check_group({.name = plan.back().name, .members = plan.back().members, .index = {}}, source);
  }
  return plan;
}

StudyResult run_ladder(std::span<const RungPlan> plan, const StudyContext& context) {
  const auto start = Clock::now();
  claim_folder(context.folder, plan_json(plan), context.resume);
  const fs::path table = context.folder / "runs.csv";
  std::vector<RunRecord> done;
  if (context.resume && fs::exists(table)) done = read_runs(table);
  StudyResult study;
  std::vector<std::string> points;  // of each record
  for (const RungPlan& rung : plan) {
    std::vector<RunRecord> records;
    std::copy_if(done.begin(), done.end(), std::back_inserter(records),
                 [&](const RunRecord& r) { return r.run == "runs/" + rung.name; });
    const bool known = !records.empty();
    if (!known) {
      const TrainedGroup trained = train_in_study(
          context, {.name = rung.name, .members = rung.members, .index = {}}, rung.finishes);
      if (trained.result.interrupted) {
        study.interrupted = true;
        break;
      }
      records = rung_records(rung, trained);
    }
    for (RunRecord& r : records) {
      points.push_back(point_text(rung.members.at(static_cast<size_t>(r.member))));
      study.records.push_back(std::move(r));
    }
    if (known) continue;
    fill_seed_sd(study.records, points);
    write_runs(table, study.records);
  }
  study.seconds = seconds_since(start);
  const auto diverged = [](const RunRecord& r) { return r.status != "ok"; };
  if (!study.interrupted && std::all_of(study.records.begin(), study.records.end(), diverged))
    fail("[ladder] Every member diverged. Lower train.lr, or set train.clip.");
  return study;
}

}  // namespace rung
