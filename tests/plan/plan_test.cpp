#include "plan/plan.h"

#include <doctest/doctest.h>

#include <cmath>

#include "plan/plan_json.h"
#include "planted_fit.h"

using namespace rung;

namespace {

using planted::A;
using planted::alpha;
using planted::B;
using planted::beta;
using planted::closed_form;
using planted::E;

Fit planted_fit(double spread = 0.0, std::vector<double> c = {E, A, B, alpha, beta}) {
  return planted::chinchilla(spread, std::move(c));
}

std::string refusal(const Fit& fit, const PlanOptions& options) {
  try {
    make_plan(fit, options);
  } catch (const Error& error) {
    if (error.kind == Failure::refused) return error.what();
  }
  return "";
}

Failure failure(const Fit& fit, const PlanOptions& options) {
  try {
    make_plan(fit, options);
  } catch (const Error& error) {
    return error.kind;
  }
  return Failure::failed;
}

}  // namespace

TEST_CASE("plan: the closed-form optimum of Chinchilla") {
  for (const double flops : {1e15, 1e18, 1e21, 1e24, 1e26}) {
    const Plan plan = make_plan(planted_fit(), {.flops = flops});
    CAPTURE(flops);
    CHECK(plan.N == doctest::Approx(closed_form(flops)).epsilon(1e-6));
    CHECK(plan.C == doctest::Approx(flops).epsilon(1e-9));
    const double loss = E + A * std::pow(plan.N, -alpha) + B * std::pow(plan.D, -beta);
    CHECK(plan.prediction.loss == doctest::Approx(loss));
    CHECK(plan.limits == std::vector<std::string>{"flops"});
  }
}

TEST_CASE("plan: intervals hold the optimum, widen with the samples, and the flat region is flat") {
  const Plan narrow = make_plan(planted_fit(0.002), {.flops = 1e21});
  const Plan wide = make_plan(planted_fit(0.01), {.flops = 1e21});
  CHECK(narrow.N_interval.min < narrow.N);
  CHECK(narrow.N_interval.max > narrow.N);
  CHECK(wide.N_interval.max / wide.N_interval.min > narrow.N_interval.max / narrow.N_interval.min);
  CHECK(6.0 * narrow.N_interval.max * narrow.D_interval.min == doctest::Approx(1e21));
  CHECK(narrow.prediction.lo < narrow.prediction.loss);
  const auto loss = [](double n) {
    return E + A * std::pow(n, -alpha) + B * std::pow(1e21 / (6 * n), -beta);
  };
  const double limit = loss(closed_form(1e21)) * 1.005;
  CHECK(loss(narrow.flat_N.min) == doctest::Approx(limit).epsilon(1e-9));
  CHECK(loss(narrow.flat_N.max) == doctest::Approx(limit).epsilon(1e-9));
  CHECK(narrow.flat_N.min < narrow.N);
  CHECK(narrow.flat_N.max > narrow.N);
}

TEST_CASE("plan: inference makes the model smaller and keeps to the whole budget") {
  const Plan plain = make_plan(planted_fit(), {.flops = 1e21});
  const Plan served = make_plan(planted_fit(), {.flops = 1e21, .inference_tokens = 1e11});
  CHECK(served.N < plain.N);
  CHECK(served.C + served.inference_flops == doctest::Approx(1e21).epsilon(1e-9));
  // No neighbour on the budget is better.
  const auto loss = [](double n) {
    const double d = (1e21 / n - 2e11) / 6.0;
    return E + A * std::pow(n, -alpha) + B * std::pow(d, -beta);
  };
  CHECK(loss(served.N) <= loss(served.N * 1.01));
  CHECK(loss(served.N) <= loss(served.N / 1.01));
}

TEST_CASE("plan: limits") {
  const double best = closed_form(1e21);
  const Plan small = make_plan(planted_fit(), {.flops = 1e21, .max_params = best / 3});
  CHECK(small.N == doctest::Approx(best / 3));
  CHECK(small.limits == std::vector<std::string>{"max-params", "flops"});
  const Plan memory = make_plan(planted_fit(), {.flops = 1e21, .memory = 16 * best / 4});
  CHECK(memory.N == doctest::Approx(best / 4));
  CHECK(memory.limits == std::vector<std::string>{"memory", "flops"});
  const double tokens = 1e21 / (6 * best);
  const Plan starved = make_plan(planted_fit(), {.flops = 1e21, .max_tokens = tokens / 5});
  CHECK(starved.D == doctest::Approx(tokens / 5));
  CHECK(starved.N == doctest::Approx(best * 5));
  CHECK(starved.limits == std::vector<std::string>{"max-tokens"});
  const Plan both =
      make_plan(planted_fit(), {.flops = 1e21, .max_tokens = tokens / 5, .max_params = best / 3});
  CHECK(both.N == doctest::Approx(best / 3));
  CHECK(both.D == doctest::Approx(tokens / 5));
  CHECK(both.C < 1e21);
  CHECK(both.limits.size() == 2);
  CHECK(both.remarks.size() >= 1);
  const Plan loose = make_plan(planted_fit(), {.flops = 1e21, .max_params = best * 3});
  CHECK(loose.limits == std::vector<std::string>{"flops"});
}

TEST_CASE("plan: refuses what the fit does not determine") {
  CHECK(refusal(planted_fit(0.4), {.flops = 1e21}).find("do not determine") != std::string::npos);
  // A law without a data term: bigger is always better.
  const Fit one_sided = planted_fit(0.0, {E, A, 0.0, alpha, beta});
  CHECK(refusal(one_sided, {.flops = 1e21}).find("no optimum") != std::string::npos);
  Fit refused = planted_fit();
  refused.diagnostics.push_back({"collinear", Severity::refusal, "D follows from N."});
  CHECK(refusal(refused, {.flops = 1e21}).find("[collinear] D follows from N.") !=
        std::string::npos);
}

TEST_CASE("plan: optima from a procedure's laws of C") {
  Table table;
  std::vector<double> n, d, loss;
  for (int budget = 0; budget < 5; ++budget)
    for (int i = -4; i <= 4; ++i) {
      const double flops = 1e18 * std::pow(4.0, budget);
      n.push_back(closed_form(flops) * std::pow(1.35, i));
      d.push_back(flops / (6.0 * n.back()));
      loss.push_back(E + A * std::pow(n.back(), -alpha) + B * std::pow(d.back(), -beta));
    }
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  const Fit fit = fit_law(table, {.law = "isoflop", .bootstrap = 20});
  REQUIRE_FALSE(fit.refused());
  const Plan plan = make_plan(fit, {.flops = 1e21});
  CHECK(plan.N == doctest::Approx(closed_form(1e21)).epsilon(0.1));
  CHECK(plan.N_interval.min < plan.N_interval.max);
  const double least = E + A * std::pow(plan.N, -alpha) + B * std::pow(plan.D, -beta);
  CHECK(plan.prediction.loss == doctest::Approx(least).epsilon(0.02));
  CHECK(failure(fit, {.flops = 1e21, .inference_tokens = 1e12}) == Failure::usage);
}

TEST_CASE("plan: usage errors") {
  CHECK(failure(planted_fit(), {.flops = -1.0}) == Failure::usage);
  CHECK(failure(planted_fit(), {.flops = 1e21, .max_tokens = 0.0}) == Failure::usage);
  CHECK(failure(planted_fit(), {.flops = 1.0}) == Failure::usage);
  CHECK(failure(planted_fit(), {}) == Failure::usage);  // no budget
  CHECK(failure(planted_fit(), {.max_params = 1e9}) == Failure::usage);
  CHECK(failure(planted_fit(), {.flops = 1e21, .flat = 2.0}) == Failure::usage);
  CHECK(failure(planted_fit(), {.flops = 1e21, .seconds = 1e5}) == Failure::usage);
  CHECK(failure(planted_fit(), {.flops = 1e21, .latency = 0.1}) == Failure::usage);
  Fit path{.law = &power_law, .inputs = {"C"}};
  path.coefficients = {{.name = "E"}, {.name = "A"}, {.name = "a"}};
  CHECK(failure(path, {.flops = 1e21}) == Failure::usage);
}

TEST_CASE("plan: the keys of the contract") {
  const PlanOptions options{.flops = 1e21};
  const Json json = plan_to_json(make_plan(planted_fit(0.01), options), options);
  for (const char* key : {"N", "D", "C", "loss", "lo", "hi", "level", "intervals", "flat", "source",
                          "shapes", "unknown"})
    CHECK(json.contains(key));
  CHECK(json["lo"] < json["hi"]);
}
