#include <doctest/doctest.h>

#include "core/error.h"
#include "law/fit_json.h"
#include "law/law_data.h"
#include "law/predict.h"
#include "law/procedure.h"
#include "law/procedures/planted.h"

using namespace rung;

namespace {

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

// Runs on a 6 x 5 grid whose accuracy rises from 0.25 to 0.95 about a loss of 2.6.
Table runs(double noise, uint64_t seed) {
  const Surface surface{.A = 480.0, .B = 2100.0, .alpha = 0.35, .beta = 0.37};
  std::vector<double> n, d, loss, accuracy;
  Random random(seed, "runs");
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 5; ++j) {
      n.push_back(3e7 * std::pow(3.0, i));
      d.push_back(1e9 * std::pow(4.0, j));
      const double l = surface.loss(n.back(), d.back());
      loss.push_back(l * std::exp(0.2 * noise * random.normal()));
      accuracy.push_back(0.25 + 0.7 * sigmoid(-5 * (l - 2.6)) + noise * random.normal());
    }
  Table table;
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  table.add("accuracy", accuracy);
  return table;
}

double far_accuracy() {
  const Surface surface{.A = 480.0, .B = 2100.0, .alpha = 0.35, .beta = 0.37};
  return 0.25 + 0.7 * sigmoid(-5 * (surface.loss(3e10, 6e11) - 2.6));
}

// Models of three independent abilities, six benchmarks and a task.
Table models(double noise, uint64_t seed) {
  const int count = 40;
  const double mix[6][3] = {{0.3, 0.1, 0.0},   {0.25, -0.1, 0.05}, {0.2, 0.0, -0.1},
                            {0.3, 0.05, 0.05}, {0.2, 0.1, 0.1},    {0.15, -0.05, 0.1}};
  std::vector<std::vector<double>> score(6);
  std::vector<double> accuracy;
  Random random(seed, "models");
  for (int i = 0; i < count; ++i) {
    double ability[3];
    for (double& a : ability) a = 0.5 * random.normal();
    for (int b = 0; b < 6; ++b) {
      double s = 0.5;
      for (int k = 0; k < 3; ++k) s += mix[b][k] * ability[k];
      score[b].push_back(s);
    }
    accuracy.push_back(sigmoid(-0.4 + 1.5 * ability[0] - 0.5 * ability[1] + 0.3 * ability[2] +
                               noise * random.normal()));
  }
  Table table;
  for (int b = 0; b < 6; ++b) table.add("bench" + std::to_string(b), score[b]);
  table.add("accuracy", accuracy);
  return table;
}

// Four families of five models each, one skill.
Table families(double noise, uint64_t seed) {
  Table table;
  std::vector<double> n, d, accuracy, family;
  Random random(seed, "families");
  for (int f = 0; f < 4; ++f)
    for (int i = 0; i < 5; ++i) {
      n.push_back(3e8 * std::pow(3.0, i) * (1 + 0.3 * f));
      d.push_back(1e12 * std::pow(1.5, (i * 3 + f) % 5));
      const double skill = -1.0 + 0.4 * f + 0.35 * std::log(n.back() / 3e9) +
                           0.25 * std::log(d.back() / 2e12) + noise * random.normal();
      accuracy.push_back(sigmoid(skill));
      family.push_back(10 + f);
    }
  table.add("N", n);
  table.add("D", d);
  table.add("accuracy", accuracy);
  table.add("family", family);
  return table;
}

}  // namespace

TEST_CASE("downstream: derivatives of the chained law match finite differences") {
  const std::vector<double> c = {1.8, 480.0, 2100.0, 0.35, 0.37, 0.7, 0.25, 5.0, 2.6};
  check_derivatives(*find_procedure_law("downstream.accuracy"), c, {1e9, 2e10});
}

TEST_CASE("downstream: the chain is exact without noise") {
  const Fit exact = fit_law(runs(0.0, 1), {.law = "downstream", .bootstrap = 20});
  REQUIRE_FALSE(exact.refused());
  CHECK(exact.coefficients.size() == 9);
  CHECK(estimate(exact, "L0").value == doctest::Approx(2.6).epsilon(1e-4));
  CHECK(estimate(exact, "alpha").value == doctest::Approx(0.35).epsilon(1e-4));
  CHECK(predict_loss(exact, {{"N", 3e10}, {"D", 6e11}}) ==
        doctest::Approx(far_accuracy()).epsilon(1e-4));
}

TEST_CASE("downstream: its intervals cover a new run" * doctest::test_suite("slow")) {
  const double truth = far_accuracy();
  int inside = 0;
  for (int i = 0; i < 20; ++i) {
    const Fit fit = fit_law(runs(0.01, 30 + i),
                            {.law = "downstream", .bootstrap = 60, .threads = 1, .refuse = false});
    Random random(i, "new run");
    const Prediction at = predict(fit, {{"N", 3e10}, {"D", 6e11}});
    const double measured = truth + 0.01 * random.normal();
    inside += measured >= at.lo && measured <= at.hi;
  }
  CAPTURE(inside);
  CHECK(inside >= 14);
}

TEST_CASE("downstream: per cents are refused, fit.json predicts the same") {
  Table percent = runs(0.0, 1);
  for (double& a : percent.columns[3].values) a *= 100;
  CHECK(find_diagnostic(fit_law(percent, {.law = "downstream"}), "units"));
  const Fit fit = fit_law(runs(0.005, 2), {.law = "downstream", .bootstrap = 30, .refuse = false});
  const Fit read = fit_from_json(Json::parse(fit_to_json(fit).dump()));
  const Point at = {{"N", 1e10}, {"D", 1e11}};
  CHECK(predict(read, at).lo == predict(fit, at).lo);
  CHECK(predict(read, at).target == "accuracy");
}

TEST_CASE("observational: exact on three abilities, predicts a model from its scores") {
  const Table table = models(0.0, 1);
  const Fit fit = fit_law(table, {.law = "observational", .bootstrap = 30});
  REQUIRE_FALSE(fit.refused());
  CHECK(fit.derivation["benchmarks"].size() == 6);
  Point model;
  for (int b = 0; b < 6; ++b) model["bench" + std::to_string(b)] = table.columns[b].values[7];
  CHECK(predict(fit, model).loss == doctest::Approx(table.columns[6].values[7]).epsilon(1e-5));
  const Fit read = fit_from_json(Json::parse(fit_to_json(fit).dump()));
  CHECK(predict(read, model).loss == predict(fit, model).loss);
  model.erase("bench3");
  CHECK_THROWS_AS(predict(fit, model), Error);
  const Fit two =
      fit_law(table, {.law = "observational", .columns = {{"benchmarks", "bench0+bench1"}}});
  CHECK(find_diagnostic(two, "too-few-benchmarks"));
}

TEST_CASE("observational: three components hold 97 % of the published scores") {
  const Table table = read_table(law_data("observational/benchmarks.csv"));
  // The task does not matter here: one of the benchmarks.
  FitOptions options{.law = "observational", .bootstrap = 0};
  options.columns = {
      {"accuracy", "MMLU"},
      {"benchmarks", "MMLU+ARC-C+HellaSwag+Winograd+TruthfulQA+GSM8K+XWinograd+HumanEval"}};
  const Fit fit = fit_law(table, options);
  const Json& share = fit.derivation["variance"];
  CHECK(share[0].get<double>() == doctest::Approx(0.843051).epsilon(1e-4));
  CHECK(share[1].get<double>() == doctest::Approx(0.0996537).epsilon(1e-4));
  CHECK(share[2].get<double>() == doctest::Approx(0.0308515).epsilon(1e-4));
}

TEST_CASE("observational, skills: the floor that guessing reaches is taken off and put back") {
  Table task = models(0.0, 1);
  for (double& a : task.columns[6].values) a = 0.25 + 0.75 * a;
  const auto with_floor = [](const char* law, double floor) {
    FitOptions options{.law = law, .bootstrap = 0};
    options.settings["floor"] = floor;
    return options;
  };
  const Fit seen = fit_law(task, with_floor("observational", 0.25));
  REQUIRE_FALSE(seen.refused());
  CHECK(seen.residual_rms < 1e-6);
  Point model;
  for (int b = 0; b < 6; ++b) model["bench" + std::to_string(b)] = task.columns[b].values[7];
  CHECK(predict(seen, model).loss == doctest::Approx(task.columns[6].values[7]).epsilon(1e-5));
  CHECK(fit_law(task, with_floor("observational", 0.0)).residual_rms > 1e-3);
  CHECK(find_diagnostic(fit_law(task, with_floor("observational", 0.5)), "units"));
  CHECK_THROWS_AS(fit_law(task, with_floor("observational", 1.0)), Error);

  Table ability = families(0.0, 1);
  for (double& a : ability.columns[2].values) a = 0.2 + 0.8 * a;
  const Fit skill = fit_law(ability, with_floor("skills", 0.2));
  REQUIRE_FALSE(skill.refused());
  CHECK(estimate(skill, "w_N").value == doctest::Approx(0.35).epsilon(1e-6));
  CHECK(skill.residual_rms < 1e-6);
}

TEST_CASE("observational: noise shows in its intervals") {
  const Fit fit = fit_law(models(0.1, 3), {.law = "observational", .bootstrap = 200});
  REQUIRE_FALSE(fit.refused());
  for (const Estimate& e : fit.coefficients) CHECK((e.name == "floor" || e.se > 0.005));
  CHECK(fit.residual_rms > 0.005);
  CHECK(fit.residual_rms < 0.05);
}

TEST_CASE("skills: recovers weights and levels") {
  const Fit exact = fit_law(families(0.0, 1), {.law = "skills", .bootstrap = 0});
  REQUIRE_FALSE(exact.refused());
  CHECK(estimate(exact, "w_N").value == doctest::Approx(0.35).epsilon(1e-6));
  CHECK(estimate(exact, "w_D").value == doctest::Approx(0.25).epsilon(1e-6));
  const Json& levels = exact.derivation["families"];
  REQUIRE(levels.size() == 4);
  CHECK(levels[3]["level"].get<double>() - levels[0]["level"].get<double>() ==
        doctest::Approx(1.2).epsilon(1e-6));
  const double level = levels[1]["level"].get<double>();
  const double skill = -0.6 + 0.35 * std::log(7e9 / 3e9) + 0.25 * std::log(4e12 / 2e12);
  CHECK(predict_loss(exact, {{"N", 7e9}, {"D", 4e12}, {"level", level}}) ==
        doctest::Approx(sigmoid(skill)).epsilon(1e-5));
}

TEST_CASE("skills: redrawn rows keep the size and tokens at which levels are stated") {
  const Fit exact = fit_law(families(0.0, 1), {.law = "skills", .bootstrap = 50});
  REQUIRE_FALSE(exact.refused());
  REQUIRE(exact.samples.size() == 50);
  for (const std::vector<double>& sample : exact.samples) {
    CHECK(sample[3] == doctest::Approx(estimate(exact, "N_0").value).epsilon(1e-12));
    CHECK(sample[4] == doctest::Approx(estimate(exact, "D_0").value).epsilon(1e-12));
  }
  const double level = exact.derivation["families"][1]["level"].get<double>();
  const Prediction far = predict(exact, {{"N", 7e11}, {"D", 4e13}, {"level", level}});
  CHECK(far.hi - far.lo < 1e-6);
}

TEST_CASE("skills: a new model's noise holds what the levels cost and leave open") {
  const Fit fit = fit_law(families(0.1, 3), {.law = "skills", .bootstrap = 50});
  REQUIRE_FALSE(fit.refused());
  const double n = static_cast<double>(fit.points);
  const auto families_count = static_cast<double>(fit.derivation["families"].size());
  double squares = 0.0;
  for (const double shift : fit.noise) squares += shift * shift / double(fit.noise.size());
  const double widened = std::sqrt(n / (n - 2 - families_count) * (1 + families_count / n));
  // The quantiles' mean square is not quite the residuals'.
  CHECK(std::sqrt(squares) == doctest::Approx(widened * fit.residual_rms).epsilon(0.05));
}

TEST_CASE("skills: its intervals cover the planted weight" * doctest::test_suite("slow")) {
  int inside = 0;
  for (int i = 0; i < 30; ++i) {
    const Fit fit =
        fit_law(families(0.1, 10 + i), {.law = "skills", .bootstrap = 100, .threads = 1});
    inside += estimate(fit, "w_N").lo <= 0.35 && 0.35 <= estimate(fit, "w_N").hi;
  }
  CAPTURE(inside);
  CHECK(inside >= 20);
}

TEST_CASE("skills: one model a family determines nothing") {
  const Fit fit = fit_law(families(0.0, 1), {.law = "skills", .where = "N < 6e8", .bootstrap = 0});
  CHECK(fit.refused());
  CHECK(find_diagnostic(fit, "no-variation-within"));
}
