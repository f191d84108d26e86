#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "law/law_data.h"
#include "law/predict.h"
#include "law/procedure.h"
#include "law/procedures/planted.h"

using namespace rung;

namespace {

// Sweeps of lr and bs about optima lr = 2 N^-.5 D^.2, bs = .5 D^.5.
Table sweeps(double noise, uint64_t seed) {
  std::vector<double> n, d, lr, bs, loss;
  Random random(seed, "sweeps");
  for (const double size : {1e8, 3e8, 1e9})
    for (const double tokens : {3e9, 1e10, 4e10}) {
      const double x0 = std::log(2 * std::pow(size, -0.5) * std::pow(tokens, 0.2));
      const double y0 = std::log(0.5 * std::pow(tokens, 0.5));
      for (int i = -3; i <= 3; ++i)
        for (int j = -3; j <= 3; ++j) {
          const double x = 0.4 * i + 0.1, y = 0.5 * j - 0.12;
          n.push_back(size);
          d.push_back(tokens);
          lr.push_back(std::exp(x0 + x));
          bs.push_back(std::exp(y0 + y));
          loss.push_back((2.5 + 0.02 * x * x - 0.005 * x * y + 0.01 * y * y) *
                         std::exp(noise * random.normal()));
        }
    }
  Table table;
  table.add("N", n);
  table.add("D", d);
  table.add("lr", lr);
  table.add("bs", bs);
  table.add("L", loss);
  return table;
}

}  // namespace

TEST_CASE("step-law: the golden refit of the dense runs") {
  const std::string path = shared_law_data("step-law/dense_lr_bs_loss.csv");
  if (path.empty()) {
    MESSAGE("skipped: no step-law in RUNG_LAW_DATA or ../shared/data/laws");
    return;
  }
  FitOptions options{.law = "step-law", .columns = {{"L", "smooth loss"}}, .bootstrap = 0};
  options.settings["sequence"] = 2048;
  const Fit fit = fit_law(read_table(path), options);
  REQUIRE_FALSE(fit.refused());
  CHECK(fit.points == 129);
  CHECK(std::log(estimate(fit, "c").value) == doctest::Approx(4.3527).epsilon(2e-5));
  CHECK(estimate(fit, "a").value == doctest::Approx(-0.7662).epsilon(1e-4));
  CHECK(estimate(fit, "b").value == doctest::Approx(0.1970).epsilon(1e-4));
  CHECK(std::log(estimate(fit, "d").value) == doctest::Approx(-1.5677).epsilon(2e-5));
  CHECK(estimate(fit, "e").value == doctest::Approx(0.6125).epsilon(1e-4));
}

TEST_CASE("step-law: a column of batches in sequences is told from one in tokens") {
  Table table = sweeps(1e-3, 3);
  for (double& batch : table.columns[3].values) batch /= 2048.0;
  const auto told = [&](const char* law, double sequence) {
    FitOptions options{.law = law, .bootstrap = 0, .refuse = false};
    options.settings["sequence"] = sequence;
    const Fit fit = fit_law(table, options);
    return std::any_of(fit.diagnostics.begin(), fit.diagnostics.end(),
                       [](const Diagnostic& d) { return d.code == "units"; });
  };
  for (const char* law : {"step-law", "step-law-bowl"}) {
    CHECK(told(law, 1));
    CHECK_FALSE(told(law, 2048));
  }
}

TEST_CASE("step-law: optima at the edge of a sweep are told, inner ones not") {
  const auto edges = [](const std::string& where) {
    const Fit fit = fit_law(sweeps(0.0, 1), {.law = "step-law", .where = where, .bootstrap = 0});
    const Diagnostic* found = find_diagnostic(fit, "sweep-edge");
    return found ? found->text : std::string();
  };
  CHECK(edges("") == "");
  // lr above twice its least in the cell of N = 1e9, D = 4e10 is beyond its optimum.
  const double best = 2 * std::pow(1e9, -0.5) * std::pow(4e10, 0.2);
  const std::string rates = edges(fmt::format("N < 9e8 || D < 3e10 || lr > {}", 1.2 * best));
  CHECK(rates.find("learning rates in 1 of 9:") != std::string::npos);
  CHECK(rates.find("batches") == std::string::npos);
  // Only the two largest batches of every cell of D = 3e9.
  const double batch = 0.5 * std::pow(3e9, 0.5);
  const std::string batches = edges(fmt::format("D > 5e9 || bs > {}", 1.8 * batch));
  CHECK(batches.find("batches in 3 of 9:") != std::string::npos);
  CHECK(batches.find("learning rates") == std::string::npos);
}

TEST_CASE("step-law: a value outside its own interval is said to be biased") {
  const std::string path = shared_law_data("step-law/dense_lr_bs_loss.csv");
  if (path.empty()) {
    MESSAGE("skipped: no step-law in RUNG_LAW_DATA or ../shared/data/laws");
    return;
  }
  FitOptions options{.law = "step-law", .bootstrap = 50};
  options.settings["sequence"] = 2048;
  const Fit fit = fit_law(read_table(path), options);
  REQUIRE(fit.parts.size() == 1);
  const Estimate& e = estimate(fit, "e");
  CHECK(e.value < e.lo);
  CHECK(std::any_of(fit.parts[0].diagnostics.begin(), fit.parts[0].diagnostics.end(),
                    [](const Diagnostic& d) { return d.code == "biased-rule"; }));
}

TEST_CASE("step-law: the published law at 7B parameters and 1.4T tokens") {
  const auto published = [](const char* name) {
    std::vector<double> values;
    for (const Coefficient& c : find_procedure_law(name)->coefficients) values.push_back(c.typical);
    return values;
  };
  CHECK(evaluate_law(*find_procedure_law("step-law.lr"), published("step-law.lr"),
                     std::vector{7e9, 1.4e12}) == doctest::Approx(9.35e-4).epsilon(5e-3));
  CHECK(evaluate_law(*find_procedure_law("step-law.bs"), published("step-law.bs"),
                     std::vector{1.4e12}) == doctest::Approx(5.0e6).epsilon(2e-2));
}

TEST_CASE("step-law: mean coefficients of the published bootstrap file") {
  const std::string path =
      shared_law_data("step-law/1004_fitted_lr_bs_scaling_model_parameters.csv");
  if (path.empty()) {
    MESSAGE("skipped: no step-law in RUNG_LAW_DATA or ../shared/data/laws");
    return;
  }
  const Table table = read_table(path);
  const auto mean = [&](const char* name) {
    double sum = 0.0;
    for (const double v : table.find(name)->values) sum += v / static_cast<double>(table.rows);
    return sum;
  };
  const Law& lr = *find_procedure_law("step-law.lr");
  CHECK(std::exp(mean("lr_intercept")) ==
        doctest::Approx(lr.coefficients[0].typical).epsilon(1e-3));
  CHECK(mean("lr_coefN") == doctest::Approx(lr.coefficients[1].typical).epsilon(1e-3));
  CHECK(mean("bs_coefD") ==
        doctest::Approx(find_procedure_law("step-law.bs")->coefficients[1].typical).epsilon(1e-3));
}

TEST_CASE("step-law-bowl: exact on planted paraboloids") {
  const Fit exact = fit_law(sweeps(0.0, 1), {.law = "step-law-bowl", .bootstrap = 0});
  REQUIRE_FALSE(exact.refused());
  CHECK(estimate(exact, "a").value == doctest::Approx(-0.5).epsilon(1e-5));
  CHECK(estimate(exact, "b").value == doctest::Approx(0.2).epsilon(1e-5));
  CHECK(estimate(exact, "c").value == doctest::Approx(2.0).epsilon(1e-3));
  CHECK(estimate(exact, "e").value == doctest::Approx(0.5).epsilon(1e-5));
}

TEST_CASE("step-law-bowl: its intervals cover the planted exponent" * doctest::test_suite("slow")) {
  int inside = 0;
  for (int i = 0; i < 30; ++i) {
    const Fit fit =
        fit_law(sweeps(0.0005, 5 + i), {.law = "step-law-bowl", .bootstrap = 100, .threads = 1});
    inside += estimate(fit, "a").lo <= -0.5 && -0.5 <= estimate(fit, "a").hi;
  }
  CAPTURE(inside);
  CHECK(inside >= 22);
}

TEST_CASE("step-law: two cells are refused") {
  const FitOptions few{.law = "step-law", .where = "D > 2e10 && N > 2e8", .bootstrap = 0};
  CHECK(find_diagnostic(fit_law(sweeps(0.0, 1), few), "too-few-cells"));
}

TEST_CASE("lr-horizon: one size, several sizes, and sweeps that miss the optimum") {
  std::vector<double> n, d, lr, loss;
  for (const double size : {5e7, 2e8, 8e8})
    for (const double tokens : {2.5e10, 5e10, 1e11, 2e11, 4e11})
      for (int i = -3; i <= 3; ++i) {
        const double best = 40 * std::pow(size, -0.2) * std::pow(tokens, -0.3);
        n.push_back(size);
        d.push_back(tokens);
        lr.push_back(best * std::pow(2.0, 0.5 * i + 0.2));
        loss.push_back(3 + 0.03 * std::pow(std::log(lr.back() / best), 2));
      }
  Table table;
  table.add("D", d);
  table.add("learning_rate", lr);
  table.add("L", loss);
  table.add("N", n);
  const Fit both = fit_law(table, {.law = "lr-horizon", .bootstrap = 20});
  REQUIRE_FALSE(both.refused());
  CHECK(both.inputs == std::vector<std::string>{"N", "D"});
  CHECK(estimate(both, "alpha").value == doctest::Approx(0.2).epsilon(1e-5));
  CHECK(estimate(both, "beta").value == doctest::Approx(0.3).epsilon(1e-5));
  const Fit one = fit_law(table, {.law = "lr-horizon", .where = "N < 6e7", .bootstrap = 20});
  REQUIRE_FALSE(one.refused());
  CHECK(one.inputs == std::vector<std::string>{"D"});
  CHECK(estimate(one, "beta").value == doctest::Approx(0.3).epsilon(1e-5));
  for (size_t i = 0; i < table.rows; ++i) table.columns[2].values[i] = 5 + 0.1 * std::log(lr[i]);
  const Fit missed = fit_law(table, {.law = "lr-horizon", .bootstrap = 20});
  CHECK(missed.refused());
  CHECK(find_diagnostic(missed, "too-few-horizons"));
}
