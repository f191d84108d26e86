#include "plan/budget.h"

#include <doctest/doctest.h>

#include "plan/devices.h"
#include "planted_fit.h"

using namespace rung;
using planted::closed_form;
using planted::plan_of;
using planted::source;

TEST_CASE("devices: names, counts, times") {
  const Hardware h100 = parse_hardware("h100:64");
  CHECK(h100.count == 64);
  CHECK(h100.bf16 == doctest::Approx(989.4e12));
  CHECK(h100.memory == 80e9);
  CHECK(parse_hardware("a100").fp8 == 0.0);
  CHECK(parse_hardware("mine:8", true).count == 8);
  CHECK(parse_time("30d") == 30 * 86400.0);
  CHECK(parse_time("1.5h") == 5400.0);
  CHECK(parse_time("4min") == 240.0);
  CHECK(parse_time("20ms") == doctest::Approx(0.02));
  for (const char* bad : {"h10", "h100:0", "h100:2.5", "h100:x"}) {
    const auto [kind, text] = planted::failure_of([&] { parse_hardware(bad); });
    CHECK(kind == Failure::usage);
  }
  CHECK(planted::failure_of([] { parse_hardware("h10"); }).second.find("Did you mean h100?") !=
        std::string::npos);
  for (const char* bad : {"", "d", "-3h", "soon", "20"})
    CHECK(planted::failure_of([&] { parse_time(bad); }).first == Failure::usage);
}

TEST_CASE("budget: a time is the FLOPs that the hardware does in it") {
  const double rate = 64 * 989.4e12 * 0.4, seconds = 30 * 86400.0;
  const Plan by_time = plan_of({source(planted::chinchilla())}, {.seconds = seconds, .rate = rate});
  CHECK(by_time.N == doctest::Approx(closed_form(seconds * rate)).epsilon(1e-6));
  CHECK(by_time.seconds == doctest::Approx(seconds));
  CHECK(by_time.limits == std::vector<std::string>{"time"});
  // With both, the lesser holds, and the plan says which.
  const Plan both =
      plan_of({source(planted::chinchilla())}, {.flops = 1e21, .seconds = seconds, .rate = rate});
  CHECK(both.N == doctest::Approx(closed_form(1e21)).epsilon(1e-6));
  CHECK(both.limits == std::vector<std::string>{"flops"});
  // Inference counts against the FLOPs, never against the training time.
  const Plan served = plan_of({source(planted::chinchilla())},
                              {.inference_tokens = 1e13, .seconds = seconds, .rate = rate});
  CHECK(served.N == doctest::Approx(by_time.N).epsilon(1e-9));
  CHECK_FALSE(served.remarks.empty());
}

TEST_CASE("budget: memory, latency and data bound the size in closed form") {
  const auto fits = [] { return std::vector{source(planted::chinchilla())}; };
  const Plan weights =
      plan_of(fits(), {.flops = 1e23, .inference_memory = 4e9, .inference_bits = 4.0});
  CHECK(weights.N == doctest::Approx(8e9));
  CHECK(weights.limits == std::vector<std::string>{"inference-memory", "flops"});
  // 16 bits: 2 N bytes over 3.35e12 bytes/s within a millisecond.
  const Plan fast = plan_of(fits(), {.flops = 1e23, .latency = 1e-3, .bandwidth = 3.35e12});
  CHECK(fast.N == doctest::Approx(3.35e9 / 2));
  CHECK(fast.latency == doctest::Approx(1e-3));
  CHECK(fast.limits == std::vector<std::string>{"latency", "flops"});
  // Without repeats unique tokens are all tokens.
  const Plan starved = plan_of(fits(), {.flops = 1e21, .unique_tokens = 1e9});
  CHECK(starved.D == doctest::Approx(1e9));
  CHECK(starved.limits == std::vector<std::string>{"unique-tokens"});
  // No compute at all: limits on both sides.
  const Plan bounded = plan_of(fits(), {.max_tokens = 1e10, .max_params = 1e8});
  CHECK(bounded.N == doctest::Approx(1e8));
  CHECK(bounded.D == doctest::Approx(1e10));
}

TEST_CASE("budget: a data-constrained law weighs repeats") {
  const Fit fit =
      planted::fit_of(data_constrained_law, {1.87, 521.0, 1488.0, 0.353, 0.353, 15.4, 5.3});
  const auto best = [&](double unique) {
    return plan_of({source(fit)}, {.flops = 1e21, .unique_tokens = unique});
  };
  const Plan plenty = best(1e14), scarce = best(5e9);
  CHECK(scarce.D > 5e9 * 1.2);   // it repeats
  CHECK(scarce.D < 5e9 * 40.0);  // but not for ever
  CHECK(scarce.prediction.loss > plenty.prediction.loss);
  // With more unique tokens than it takes, the base law's closed form.
  const double g = std::pow(521.0 / 1488.0, 1.0 / 0.706);
  CHECK(plenty.N == doctest::Approx(g * std::pow(1e21 / 6, 0.5)).epsilon(1e-3));
  CHECK(planted::failure_of([&] { plan_of({source(fit)}, {.flops = 1e21}); }).first ==
        Failure::usage);
}

TEST_CASE("budget: a given shape's tokens pay for its attention") {
  const PlanOptions options{
      .flops = 1e21, .width = 2048, .depth = 24, .shape = {.vocabulary = 32000, .context = 16384}};
  const Plan plan = plan_of({source(planted::chinchilla())}, options);
  const ModelShape shape = make_shape(2048, 24, options.shape);
  CHECK(shape.flops_per_token > 1.5 * 6.0 * shape.N);
  CHECK(plan.D == doctest::Approx(1e21 / shape.flops_per_token));
  CHECK(plan.C == doctest::Approx(1e21));
  REQUIRE(plan.shapes.size() == 1);
  CHECK(plan.D == doctest::Approx(plan.shapes.front().D));
  CHECK(plan.memory == doctest::Approx(plan.shapes.front().memory));  // embeddings included
  CHECK(plan.given->excess == doctest::Approx(plan.shapes.front().excess));
  CHECK(plan.prediction.loss == doctest::Approx(planted::loss_at(plan.N, plan.D)));
}

TEST_CASE("budget: a given size loses what the law says") {
  const double best = closed_form(1e21), n = best / 4;
  const Plan plan = plan_of({source(planted::chinchilla(0.005))}, {.flops = 1e21, .size = n});
  CHECK(plan.N == n);
  CHECK(plan.D == doctest::Approx(1e21 / (6 * n)));
  REQUIRE(plan.given);
  CHECK(plan.given->best_N == doctest::Approx(best).epsilon(1e-6));
  const double loss = planted::loss_at(n, plan.D);
  const double least = planted::loss_at(best, 1e21 / (6 * best));
  CHECK(plan.given->excess == doctest::Approx(loss / least - 1));
  // At that share of the FLOPs the best size has the same loss.
  const double less = 1e21 * plan.given->flops_share, size = closed_form(less);
  CHECK(planted::loss_at(size, less / (6 * size)) == doctest::Approx(loss).epsilon(1e-6));
  CHECK(plan.prediction.loss == doctest::Approx(loss));
  // The best size given loses nothing.
  const Plan same = plan_of({source(planted::chinchilla(0.005))}, {.flops = 1e21, .size = best});
  CHECK(same.given->excess == doctest::Approx(0.0));
  CHECK(same.given->flops_share == doctest::Approx(1.0).epsilon(1e-4));
}
