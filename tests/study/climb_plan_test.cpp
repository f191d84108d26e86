#include "study/climb_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "core/clock.h"
#include "study/climb_cases.h"
#include "study/gpu_shapes.h"

using namespace rung;

namespace {

double ratio(int64_t a, int64_t b) {
  return static_cast<double>(a) / static_cast<double>(b);
}

void check_ladder(const ClimbPlan& plan) {
  const PathPoint &target = plan.target.point, &largest = plan.ladder.back().point,
                  &smallest = plan.ladder.front().point;
  REQUIRE(plan.ladder.size() >= 4);
  CHECK(plan.ladder.size() <= plan.options.most_rungs);
  CHECK(plan.flops() <= plan.options.flops);
  CHECK(ratio(target.N, largest.N) >= 1.8);
  CHECK(ratio(target.tokens, largest.tokens) >= 1.8);
  CHECK(plan.ahead() >= plan.options.ahead);
  CHECK(plan.ahead() == target.C / largest.C);
  CHECK(ratio(largest.N, smallest.N) <= plan.options.reach);
  CHECK(smallest.width >= plan.options.smallest_width);
  for (size_t i = 1; i < plan.ladder.size(); ++i) {
    CHECK(ratio(plan.ladder[i].point.N, plan.ladder[i - 1].point.N) >= 1.25);
    CHECK(plan.ladder[i].point.C > plan.ladder[i - 1].point.C);
  }
}

void check_path(const ClimbPlan& plan) {
  std::vector<PlannedRun> runs = plan.ladder;
  runs.push_back(plan.target);
  for (const PlannedRun& run : runs) {
    const PathPoint& p = run.point;
    CHECK(p.batch_tokens % climb_base().model.context == 0);
    CHECK(p.tokens % p.batch_tokens == 0);
    const double wanted = plan.options.tokens_per_parameter * static_cast<double>(p.N);
    CHECK(static_cast<double>(p.tokens) <= wanted);
    CHECK(static_cast<double>(p.tokens) > wanted - static_cast<double>(p.batch_tokens));
    CHECK(p.width % plan.options.width_step == 0);
    CHECK(p.width / plan.options.heads % 2 == 0);  // rotary positions turn pairs
  }
}

}  // namespace

TEST_CASE("every learning rate of a sweep has as many seeds as asked for") {
  ClimbOptions options = with_budget(3e13);
  options.sweep_seeds = 4;
  const ClimbPlan plan = plan_climb(climb_base(), bytes, options);
  REQUIRE(plan.sweeps.size() == 4);
  for (const PlannedRun& run : plan.sweeps) {
    CHECK(run.members() == 4 * static_cast<int64_t>(run.lr_factors.size()));
    std::set<std::pair<double, uint64_t>> distinct;
    for (const RunConfig& config : members_of(run, climb_base(), 0.7, 0.68, plan.options))
      distinct.insert({config.train.lr, config.seed});
    CHECK(distinct.size() == static_cast<size_t>(run.members()));
  }
}

TEST_CASE("planning the largest budgets takes a moment: each width is counted once") {
  const auto start = Clock::now();
  const ClimbPlan plan = plan_climb(climb_base(), bytes, with_budget(1e22));
  CHECK(seconds_since(start) < 5.0);  // 0.1 s; half a minute with every rung of every target anew
  CHECK(plan.target.point.C > 2e21);
  check_ladder(plan);
}

TEST_CASE("heads double until the target's fit, and all rungs have as many") {
  ClimbOptions options = with_budget(3e13);
  const ClimbPlan free = plan_climb(climb_base(), bytes, options);
  const int64_t head = free.target.point.width / free.options.heads;
  options.largest_head = head - 1;
  const ClimbPlan limited = plan_climb(climb_base(), bytes, options);
  CHECK(limited.options.heads == 2 * free.options.heads);
  CHECK(limited.target.point.width / limited.options.heads <= options.largest_head);
  check_ladder(limited);
  check_path(limited);
  ClimbOptions given = options;
  given.target_width = limited.target.point.width;
  CHECK(plan_climb(climb_base(), bytes, given).options.heads ==
        with_heads_at(given, given.target_width).heads);
  options.largest_head = head;
  CHECK(plan_climb(climb_base(), bytes, options).options.heads == free.options.heads);
}

TEST_CASE(
    "where a climb of more heads costs too much, the target is as wide as fewer heads allow") {
  ClimbOptions options = with_budget(8e14);
  options.width_step = 16, options.smallest_width = 32;
  const ClimbPlan free = plan_climb(climb_base(), bytes, options);
  options.largest_head = free.target.point.width / free.options.heads - 1;
  REQUIRE_FALSE(find_plan(climb_base(), bytes, with_more_heads(options)).plan);
  const ClimbPlan limited = plan_climb(climb_base(), bytes, options);
  CHECK(limited.options.heads == free.options.heads);
  CHECK(limited.target.point.width < free.target.point.width);
  CHECK(limited.target.point.width / limited.options.heads <= options.largest_head);
  check_ladder(limited);
  options.flops *= 100.0;
  CHECK(plan_climb(climb_base(), bytes, options).options.heads > free.options.heads);
}

TEST_CASE("every plan keeps its promises: distance, spacing, reach, budget") {
  for (const double flops : {2e12, 5e12, 3e13, 1e14, 1e15, 3e16})
    for (const int64_t vocabulary : {int64_t{256}, int64_t{1024}}) {
      CAPTURE(flops);
      CAPTURE(vocabulary);
      if (vocabulary == 1024 && flops < 1e13) continue;
      const ClimbPlan plan = plan_climb(climb_base(), vocabulary, with_budget(flops));
      check_ladder(plan);
      check_path(plan);
      CHECK_FALSE(plan.limited_by_text);
    }
}

TEST_CASE("a farther target, a longer ladder and other tokens per parameter are heeded") {
  ClimbOptions options = with_budget(1e15);
  options.ahead = 15.0;
  check_ladder(plan_climb(climb_base(), bytes, options));
  options = with_budget(1e16);
  options.ahead = 6.0, options.most_rungs = 8, options.reach = 12.0, options.width_step = 16;
  options.smallest_width = 32, options.tokens_per_parameter = 10.0;
  const ClimbPlan plan = plan_climb(climb_base(), bytes, options);
  check_ladder(plan);
  check_path(plan);
  CHECK(plan.ladder.size() > 6);
}

TEST_CASE(
    "the target's share is a quarter to three quarters, and more budget hardly means a smaller "
    "target") {
  double most = 0.0;
  for (double flops = 2e12; flops < 1e16; flops *= 1.37) {
    CAPTURE(flops);
    const ClimbPlan plan = plan_climb(climb_base(), bytes, with_budget(flops));
    CHECK(plan.target.point.C >= 0.75 * most);
    most = std::max(most, plan.target.point.C);
    if (flops > 2e13) CHECK(plan.ahead() < 5.0);
    const double share = plan.target.flops() / plan.flops();
    CHECK(share > 0.25);
    CHECK(share < 0.75);
  }
  CHECK(most > 3e15);
}

TEST_CASE("2e12 FLOPs climb on bytes; a budget that is too small names one that is enough") {
  CHECK_NOTHROW(plan_climb(climb_base(), bytes, with_budget(2e12)));
  for (const int64_t vocabulary : {int64_t{64}, bytes, int64_t{1024}}) {
    const std::string message = failure_of(with_budget(1e9), vocabulary);
    CHECK(message.find("[climb] The budget is too small to climb. Received 1e+09 FLOP") == 0);
    const double enough = number_after(message, "needs ");
    CHECK_NOTHROW(plan_climb(climb_base(), vocabulary, with_budget(enough)));
    CHECK(failure_of(with_budget(0.98 * enough), vocabulary) != "");
  }
}

TEST_CASE("text limits the target, says by how much, and too little text is refused") {
  const ClimbPlan free = plan_climb(climb_base(), bytes, with_budget(1e14));
  CHECK(free.wanted_tokens == free.target.point.tokens);
  ClimbOptions options = with_budget(1e14);
  options.most_tokens = free.target.point.tokens;
  CHECK_FALSE(plan_climb(climb_base(), bytes, options).limited_by_text);
  options.most_tokens = free.target.point.tokens - 1;
  const ClimbPlan limited = plan_climb(climb_base(), bytes, options);
  CHECK(limited.limited_by_text);
  CHECK(limited.wanted_tokens == free.target.point.tokens);
  CHECK(limited.target.point.tokens <= options.most_tokens);
  CHECK(limited.target.point.N < free.target.point.N);
  check_ladder(limited);
  options.most_tokens = 1000;
  const std::string message = failure_of(options);
  CHECK(message.find("The text is too small to climb. Received 1000 distinct") !=
        std::string::npos);
  options.most_tokens = static_cast<int64_t>(number_after(message, "needs "));
  CHECK(plan_climb(climb_base(), bytes, options).target.point.tokens == options.most_tokens);
}

TEST_CASE("members carry the plan's learning rates, seeds, shapes and batches") {
  ClimbOptions options = with_budget(1e13);
  options.seed = 7;
  const ClimbPlan plan = plan_climb(climb_base(), bytes, options);
  std::vector<PlannedRun> runs = plan.sweeps;
  runs.insert(runs.end(), plan.ladder.begin(), plan.ladder.end());
  runs.push_back(plan.target);
  std::set<uint64_t> target_seeds, ladder_seeds, sweep_seeds;
  for (const PlannedRun& run : runs) {
    CAPTURE(run.name);
    const auto members = members_of(run, climb_base(), 0.5, options.batch_coefficient, options);
    REQUIRE(static_cast<int64_t>(members.size()) == run.members());
    for (size_t m = 0; m < members.size(); ++m) {
      const RunConfig& config = members[m];
      const size_t seeds = static_cast<size_t>(run.seeds);
      CHECK(config.train.lr == 0.5 * run.lr_factors[m / seeds]);
      CHECK(config.seed == members[m % seeds].seed);
      CHECK(config.model.width == run.point.width);
      CHECK(config.model.head_dim * options.heads == run.point.width);
      CHECK(config.train.batch_tokens % config.model.context == 0);
      CHECK(config.train.tokens % config.train.batch_tokens == 0);
      const double batches = static_cast<double>(config.train.batch_tokens) /
                             (options.batch_coefficient * run.batch_factor *
                              std::sqrt(static_cast<double>(run.point.tokens)));
      CHECK(batches > 0.6);
      CHECK(batches < 1.7);
      (run.kind == "target"  ? target_seeds
       : run.kind == "sweep" ? sweep_seeds
                             : ladder_seeds)
          .insert(config.seed);
    }
    std::set<uint64_t> own;
    for (size_t s = 0; s < static_cast<size_t>(run.seeds); ++s) own.insert(members[s].seed);
    CHECK(own.size() == static_cast<size_t>(run.seeds));
  }
  CHECK(target_seeds.size() == 1);
  for (const auto* others : {&ladder_seeds, &sweep_seeds})
    for (const uint64_t seed : *others) CHECK_FALSE(target_seeds.contains(seed));
  // Seeds of two climbs do not meet.
  options.seed = 8;
  for (const RunConfig& config :
       members_of(plan.ladder.front(), climb_base(), 0.5, options.batch_coefficient, options))
    CHECK_FALSE(ladder_seeds.contains(config.seed));
}

TEST_CASE("what the target leaves of the budget buys seeds, of the largest rungs first") {
  for (const double flops : {4.4e13, 1e14, 7e14}) {
    const ClimbPlan plan = plan_climb(climb_base(), bytes, with_budget(flops));
    const double left = flops - plan.flops();
    CHECK(left >= 0.0);
    for (const PlannedRun& run : plan.ladder) {
      CHECK(run.seeds >= 2);
      CHECK(run.seeds <= plan.options.most_seeds);
      CHECK((run.seeds == plan.options.most_seeds || run.point.C > left));
    }
  }
}

TEST_CASE("the plan's JSON holds every run") {
  const ClimbPlan plan = plan_climb(climb_base(), bytes, with_budget(1e14));
  CHECK(plan.ladder.front().seeds == plan.options.most_seeds);
  const Json json = to_json(plan);
  CHECK(json.at("runs").size() == plan.sweeps.size() + plan.ladder.size() + 1);
  CHECK(json.at("planned_flops").get<double>() == plan.flops());
  CHECK(json.at("target").at("N").get<int64_t>() == plan.target.point.N);
  double flops = 0.0;
  for (const Json& run : json.at("runs")) flops += run.at("flops").get<double>();
  CHECK(flops == doctest::Approx(plan.flops()));
  CHECK(to_json(plan_climb(climb_base(), bytes, with_budget(1e14))) == json);
}

TEST_CASE("a target of given width and tokens gets the nearest ladder that the budget affords") {
  ClimbOptions options = with_budget(1e16);
  options.target_width = 128;
  const ClimbPlan rich = plan_climb(climb_base(), bytes, options);
  CHECK(rich.target.point.width == 128);
  CHECK(rich.ahead() >= 4.0);
  CHECK(rich.ahead() < 6.0);
  check_ladder(rich);
  // Too little for this ladder with two seeds a rung.
  options.flops = rich.target.flops() + 1.2 * rich.ladder.back().point.C;
  const ClimbPlan poor = plan_climb(climb_base(), bytes, options);
  CHECK(poor.target.point.C == rich.target.point.C);
  CHECK(poor.ahead() > rich.ahead());
  CHECK(poor.flops() <= options.flops);
  // Trained elsewhere, the target costs nothing here.
  options.train_target = false;
  const ClimbPlan elsewhere = plan_climb(climb_base(), bytes, options);
  CHECK(elsewhere.ahead() < poor.ahead());
  CHECK(elsewhere.flops() <= options.flops);
  // Tokens of the target set every rung's tokens per parameter.
  options.target_tokens = 40 * rich.target.point.N;
  const ClimbPlan longer = plan_climb(climb_base(), bytes, options);
  CHECK(ratio(longer.target.point.tokens, options.target_tokens) ==
        doctest::Approx(1.0).epsilon(0.01));
  for (const PlannedRun& rung : longer.ladder)
    CHECK(ratio(rung.point.tokens, rung.point.N) == doctest::Approx(40.0).epsilon(0.02));
  options.flops = 1e9;
  CHECK(failure_of(options).find("The budget is too small to climb") != std::string::npos);
  options.target_width = 24;
  CHECK(failure_of(options).find("No ladder of 4 rungs lies below the target. Received width 24") !=
        std::string::npos);
}
