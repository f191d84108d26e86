#include <doctest/doctest.h>

#include <algorithm>

#include "law/procedure.h"
#include "plan/hyperparameters.h"
#include "plan/vocabulary.h"
#include "planted_fit.h"

using namespace rung;
using planted::fit_of;
using planted::plan_of;
using planted::source;

TEST_CASE("vocabulary: approach 3 gives the published table") {
  // Published constants, per million and billion, at the budgets of approach 1 for each body.
  const double m = std::pow(1e6, 0.4466), b = std::pow(1e9, 0.4466);
  const Fit fit =
      fit_of(*find_procedure_law("vocabulary-3.L_u"),
             {5.5328, 1.8314 * m, 0.1958 * std::pow(1e6, 0.6707), 2.1241 * b, 0.6707, 0.4466});
  const double rows[][3] = {{3e9, 3200, 36648},
                            {7e9, 4096, 59547},
                            {13e9, 5120, 81347},
                            {70e9, 8192, 217961},
                            {300e9, 16384, 383659}};
  for (const auto& [body, width, entries] : rows) {
    const double flops = std::pow(body / std::exp(-2.484651), 2);
    CHECK(best_vocabulary(fit, fit.values(), body, flops, width) ==
          doctest::Approx(entries).epsilon(1e-3));
  }
}

TEST_CASE("vocabulary: approaches 1 and 2, and N as body and readout together") {
  const Fit first = fit_of(*find_procedure_law("vocabulary-1.Nv"), {std::exp(-1.589031), 0.416362});
  // 7B at its budget, published: 62,280.
  const double flops = std::pow(7e9 / std::exp(-2.484651), 2);
  CHECK(best_vocabulary(first, first.values(), 7e9, flops, 4096) ==
        doctest::Approx(62280).epsilon(2e-3));
  const Fit second =
      fit_of(*find_procedure_law("vocabulary-2.Nv"), {3145728, 33e6, 0.8353974}, 0.01, {0});
  const PlanSource file = source(second, "v.json");
  const Advice advice = advise_vocabulary({&file.fit(), &file}, 7e9, 1e22, 4096, 0.9);
  const double body = 7e9 - advice.value * 4096;
  CHECK(advice.value == doctest::Approx(3145728 * std::pow(body / 33e6, 0.8353974) / 4096));
  CHECK(advice.lo < advice.value);
  CHECK(advice.hi > advice.value);
  CHECK(padded_vocabulary(50257) == 50304);
  CHECK(padded_vocabulary(128) == 128);
}

TEST_CASE("vocabulary: a plan takes it for its shapes and names its fit") {
  const Fit second =
      fit_of(*find_procedure_law("vocabulary-2.Nv"), {3145728, 33e6, 0.8353974}, 0.01, {0});
  const Plan plan =
      plan_of({source(planted::chinchilla(0.002)), source(second, "v.json")}, {.flops = 1e21});
  REQUIRE(plan.vocabulary);
  CHECK(plan.vocabulary->source == "v.json (vocabulary-2.Nv)");
  REQUIRE_FALSE(plan.shapes.empty());
  const ModelShape& shape = plan.shapes.front().shape;
  const int64_t entries = padded_vocabulary(plan.vocabulary->value);
  CHECK(shape.N == make_shape(shape.width, shape.depth, {.vocabulary = entries}).N);
  for (const std::string& unknown : plan.unknown) CHECK(unknown != "vocabulary");
}

TEST_CASE("hyperparameters: the laws at the planned N and D, with intervals and sources") {
  Fit rate = fit_of(*find_procedure_law("step-law.lr"), {1.797, -0.7129, 0.3075}, 0.002, {1});
  rate.parts = {fit_of(*find_procedure_law("step-law.bs"), {0.5807, 0.5709}, 0.002, {1})};
  const Plan plan =
      plan_of({source(planted::chinchilla(0.002)), source(rate, "step.json")}, {.flops = 1e21});
  REQUIRE(plan.lr.size() == 1);
  REQUIRE(plan.batch.size() == 1);
  CHECK(plan.lr[0].value ==
        doctest::Approx(1.797 * std::pow(plan.N, -0.7129) * std::pow(plan.D, 0.3075)));
  CHECK(plan.batch[0].value == doctest::Approx(0.5807 * std::pow(plan.D, 0.5709)));
  for (const Advice& advice : {plan.lr[0], plan.batch[0]}) {
    CHECK(advice.lo < advice.value);
    CHECK(advice.hi > advice.value);
    CHECK(advice.source.find("step.json") == 0);
  }
  CHECK(std::find(plan.unknown.begin(), plan.unknown.end(), "learning rate") == plan.unknown.end());
}

TEST_CASE("hyperparameters: a critical batch in the column that its fit was measured against") {
  Fit batch = fit_of(*find_procedure_law("critical-batch.cbs"), {93.197, 0.46828}, 0.01, {0});
  batch.inputs = {"model_size_M"};
  PlanOptions options{.flops = 1e21};
  const Plan plan = plan_of({source(planted::chinchilla()), source(batch)}, options);
  REQUIRE(plan.batch.size() == 1);
  CHECK(plan.batch[0].value == doctest::Approx(93.197 * std::pow(plan.N / 1e6, 0.46828)));
  // An unknown column is asked for, not guessed.
  batch.inputs = {"depth_of_tree"};
  const Plan asked = plan_of({source(planted::chinchilla()), source(batch)}, options);
  CHECK(asked.batch.empty());
  CHECK(asked.remarks.back().find("--with depth_of_tree") != std::string::npos);
  options.other = {{"depth_of_tree", 10.0}};
  CHECK(plan_of({source(planted::chinchilla()), source(batch)}, options).batch.at(0).value ==
        doctest::Approx(93.197 * std::pow(10.0, 0.46828)));
}
