#include "plan/choice.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "planted_fit.h"

using namespace rung;
using planted::plan_of;
using planted::source;

namespace {

// One sensitivity for all three, so that the best number of bits is far from a tie.
const std::vector<double> precision_values = {2.7648, 4299.0, 18060.0, 0.4965,
                                              0.4965, 4.2,    4.2,     4.2};

const Alternative& row_of(const Plan& plan, double bits, double experts = 0.0) {
  for (const Alternative& a : plan.alternatives)
    if (a.bits == bits && a.experts == experts) return a;
  FAIL("no such alternative");
  return plan.alternatives.front();
}

}  // namespace

TEST_CASE("choice: bits in training, where FLOPs fall with them") {
  const Fit fit = planted::fit_of(precision_law, precision_values, 0.02, {5});
  const Plan plan = plan_of({source(fit)}, {.flops = 1e21, .bit_flops = true});
  const Plan larger = plan_of({source(fit)}, {.flops = 1e23, .bit_flops = true});
  CHECK(larger.choice.bits == plan.choice.bits);
  // In closed form: with N' = kept(P) N the budget is N' D P/kept(P), so P/kept(P) is least.
  double best = 0.0, least = 1e300;
  for (double p = 2; p <= 16; ++p) {
    const double kept = std::pow(1 - std::exp(-p / 4.2), 3);
    if (p / kept < least) least = p / kept, best = p;
  }
  CHECK(plan.choice.bits == best);
  CHECK(best == 8);
  double votes = 0.0;
  for (const Alternative& a : plan.alternatives) votes += a.support;
  CHECK(votes == doctest::Approx(1.0));
  CHECK(row_of(plan, best).support > 0.5);
  // Where bits cost nothing the most win, and the plan says so.
  const Plan free = plan_of({source(fit)}, {.flops = 1e21});
  CHECK(free.choice.bits == 16);
  CHECK(free.remarks.size() >= 1);
}

TEST_CASE("choice: bits under a memory for weights are the best of all") {
  const Fit fit = planted::fit_of(precision_law, precision_values);
  const double memory = 1e8;
  const Plan plan = plan_of({source(fit)}, {.flops = 1e21, .inference_memory = memory});
  for (const Alternative& a : plan.alternatives) {
    CHECK(a.N <= memory * 8 / a.bits * (1 + 1e-9));
    CHECK(a.loss >= row_of(plan, plan.choice.bits).loss);
  }
  CHECK(plan.choice.bits < 10);
  CHECK(plan.limits == std::vector<std::string>{"inference-memory", "flops"});
}

TEST_CASE("choice: rounding after training adds its loss") {
  const Fit ptq = planted::fit_of(ptq_law, {0.0598, 0.5068, 0.3439, 0.5907}, 0.01, {0});
  const Plan plan = plan_of({source(planted::chinchilla(0.002)), source(ptq, "ptq.json")},
                            {.flops = 1e21, .inference_memory = 1e9});
  const Alternative& best = row_of(plan, plan.choice.bits);
  const double added =
      0.0598 * std::pow(best.D, 0.5068) / std::pow(best.N, 0.3439) * std::exp(-best.bits / 0.5907);
  CHECK(best.loss == doctest::Approx(planted::loss_at(best.N, best.D) + added));
  CHECK(plan.prediction.loss == doctest::Approx(best.loss));
  CHECK(plan.prediction.lo < best.loss);
  CHECK(plan.prediction.hi > best.loss);
  CHECK(plan.prediction.sources.contains("rounding"));
  for (const Alternative& a : plan.alternatives) CHECK(a.loss >= best.loss);
  CHECK(plan.choice_source == "ptq.json (ptq)");
  CHECK(plan.choice.bits < 16);
}

TEST_CASE("choice: k-bit accuracies at a fixed memory") {
  const Fit k_bit = planted::fit_of(kbit_law, {0.55, 0.045, 2.5, 0.7213475});
  const Plan plan = plan_of({source(planted::chinchilla()), source(k_bit, "bits.json")},
                            {.flops = 1e25, .inference_memory = 1e9});
  CHECK(plan.choice.bits == 4);  // as published
  CHECK(plan.N == doctest::Approx(2e9));
}

TEST_CASE("choice: experts as memory allows") {
  const std::vector<double> c = {150.0, -0.2,   -0.27, 0.003, 600.0, 0.15,
                                 -0.3,  -0.005, 1.6,   2.394, 217.7};
  Fit fit = planted::fit_of(joint_moe_law, c, 0.01, {1});
  fit.ranges = {{"E", {1.0, 64.0}}};
  const Plan loose = plan_of({source(fit)}, {.flops = 1e21});
  CHECK(loose.choice.experts > 1);
  CHECK(loose.alternatives.size() == 7);
  const Plan tight = plan_of({source(fit)}, {.flops = 1e21, .memory = 16 * 3e8});
  CHECK(tight.choice.experts <= loose.choice.experts);
  for (const Alternative& a : tight.alternatives) CHECK(16 * a.N_total <= 16 * 3e8 * (1 + 1e-9));
  CHECK(tight.N_total == doctest::Approx(stored_parameters(tight.N, tight.choice.experts, {})));
  // Routers cost FLOPs: more of them leave fewer tokens than 6 N D.
  CHECK(6 * loose.N * loose.D < 1e21 * (1 - 1e-4));
  // Without a limit on what is stored the most win, which is no finding: the plan says so.
  const auto says_so = [](const Plan& plan) {
    return std::any_of(plan.remarks.begin(), plan.remarks.end(), [](const std::string& remark) {
      return remark.find("Nothing limits the parameters stored") != std::string::npos;
    });
  };
  CHECK(loose.choice.experts == 64);
  CHECK(says_so(loose));
  CHECK_FALSE(says_so(tight));
  const Plan fixed = plan_of({source(fit)}, {.flops = 1e21, .experts = 4});
  CHECK(fixed.choice.experts == 4);
  CHECK(fixed.C == doctest::Approx(1e21).epsilon(1e-9));  // routers included
  // A given shape has one loss, at the size that the law counts: without its routers.
  const Plan given =
      plan_of({source(fit)}, {.flops = 1e20, .experts = 64, .width = 512, .depth = 8});
  REQUIRE(given.shapes.size() == 1);
  CHECK(given.N == given.shapes[0].shape.N);
  CHECK(given.prediction.loss == doctest::Approx(given.shapes[0].loss).epsilon(1e-12));
}

TEST_CASE("choice: a routing law turns experts into dense parameters") {
  Fit routing = planted::fit_of(routing_law, {-0.0838, -0.1234, 0.0104, 1.1216, 2.394, 217.7});
  routing.ranges = {{"E", {1.0, 512.0}}};
  const Plan plan =
      plan_of({source(planted::chinchilla()), source(routing, "routing.json")}, {.flops = 1e20});
  const Alternative& dense = row_of(plan, 0.0, 1.0);
  const Alternative& best = row_of(plan, 0.0, plan.choice.experts);
  CHECK(dense.loss == doctest::Approx(planted::loss_at(dense.N, dense.D)));
  CHECK(best.loss < dense.loss);
  // The dense model of the same loss under the routing law.
  const auto routed = [&](double n, double e) {
    const double at[] = {n, e};
    return evaluate_law(routing_law, routing.values(), at);
  };
  double lo = best.N, hi = 1e4 * best.N;
  for (int i = 0; i < 200; ++i) {
    const double middle = std::sqrt(lo * hi);
    (routed(middle, 1.0) > routed(best.N, best.experts) ? lo : hi) = middle;
  }
  CHECK(best.loss == doctest::Approx(planted::loss_at(lo, best.D)).epsilon(1e-6));
}

TEST_CASE("choice: granularity against the cost of routing") {
  Fit fit = planted::fit_of(fine_grained_moe_law, {0.47, 18.1, 2.1, 0.58, 0.115, 30.8, 0.147});
  fit.ranges = {{"G", {1.0, 64.0}}};
  const Plan free = plan_of({source(fit)}, {.flops = 1e19});
  CHECK(free.choice.granularity == 64);
  CHECK(free.remarks.size() >= 1);
  const Plan paid = plan_of({source(fit)}, {.flops = 1e19, .experts = 64});
  CHECK(paid.choice.granularity < 64);
  CHECK(paid.choice.granularity > 1);
  // Real shapes pay for the same routers: one output a piece of an expert in every block.
  const auto pieces = static_cast<int64_t>(64 * paid.choice.granularity);
  REQUIRE_FALSE(paid.shapes.empty());
  for (const ShapeCandidate& c : paid.shapes) {
    CAPTURE(c.shape.width);
    const int64_t width = c.shape.width, depth = c.shape.depth;
    CHECK(c.shape.N == static_cast<double>(depth * width * (13 * width + pieces)));
    CHECK(6 * c.shape.N * c.D == doctest::Approx(1e19));
    CHECK(c.shape.N_router == static_cast<double>(depth * width * pieces));
    CHECK(c.excess > -5e-4);  // one wider than the rule has it pays a little less
  }
}

TEST_CASE("choice: fits that say nothing, twice the same, or are the wrong kind") {
  const Fit power = planted::fit_of(power_law, {1.0, 1.0, 0.1});
  CHECK(planted::failure_of([&] {
          plan_of({source(planted::chinchilla()), source(power)}, {.flops = 1e21});
        }).first == Failure::usage);
  const Fit k_bit = planted::fit_of(kbit_law, {0.55, 0.045, 2.5, 0.7213475});
  CHECK(planted::failure_of([&] { plan_of({source(k_bit)}, {.flops = 1e21}); }).first ==
        Failure::usage);
  const Plan twice = plan_of(
      {source(planted::chinchilla(), "a"), source(planted::chinchilla(), "b")}, {.flops = 1e21});
  CHECK(twice.source == "a (chinchilla)");
  CHECK(twice.remarks.front().find("b (chinchilla) is not used") != std::string::npos);
}
