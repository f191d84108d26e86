#include "law/laws/broken_power.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/perturbed.h"
#include "law/simulate.h"

using namespace rung;

TEST_CASE("broken-power: derivatives match finite differences") {
  check_derivatives(broken_power_law, {0.9, 30.0, 0.2, 0.4, 3e6, 0.3}, {2e6});
  check_derivatives(broken_power_law, {0.5, 30.0, 0.3, 0.1, 1e5, 0.8}, {2e8});
}

// By how much each number of a jet changes the loss when its coefficients change by themselves (A),
// or by one.
static std::vector<double> jet_units(double A, int order) {
  const double unit[] = {1.0, A, 1.0, 1.0, 1.0, 1.0};
  std::vector<double> units = {1.0};
  if (order > 0) units.insert(units.end(), unit, unit + 6);
  for (int i = 0; order > 1 && i < 6; ++i)
    for (int j = 0; j <= i; ++j) units.push_back(unit[i] * unit[j]);
  return units;
}

// Widths down to the narrowest and rows far to both sides of the break, more than a block of them.
TEST_CASE("broken-power: many rows at once are the formula row by row") {
  constexpr size_t rows = 150;
  std::vector<double> x;
  for (size_t i = 0; i < rows; ++i) {
    const double log_x = 0.4 * static_cast<double>(i);
    x.insert(x.end(), {std::exp(log_x), log_x});
  }
  for (const std::array<double, 6>& c :
       {std::array{0.9, 30.0, 0.2, 0.4, 3e6, 0.3}, std::array{0.0, 1e-3, 0.05, 2.5, 1e20, 0.05},
        std::array{1.8, 5e3, 0.4, 0.1, 2e3, 2.0}, std::array{1.0, 7.0, 0.3, 0.3, 1e12, 1.0}}) {
    for (int order = 0; order <= 2; ++order) {
      const std::vector<double> units = jet_units(c[1], order);
      const size_t width = units.size();
      std::vector<double> fused(rows * width), plain(rows * width);
      broken_power_law.evaluate(broken_power_law, c.data(), x.data(), rows, order, fused.data());
      broken_power_plain(broken_power_law, c.data(), x.data(), rows, order, plain.data());
      for (size_t i = 0; i < rows * width; ++i) {
        CAPTURE(order);
        CAPTURE(i);
        const double loss = plain[i / width * width];
        CHECK(std::fabs(fused[i] - plain[i]) * units[i % width] <=
              1e-11 * std::fabs(plain[i]) * units[i % width] + 1e-13 * loss);
      }
    }
  }
}

namespace {

// The text of the warning; empty without one.
std::string bend_of(const Fit& fit) {
  for (const Diagnostic& d : fit.diagnostics)
    if (d.code == "bend") return d.text;
  return "";
}

}  // namespace

TEST_CASE("broken-power: recovers a planted break, and power warns of it") {
  const std::vector<double> truth = {0.7, 20.0, 0.15, 0.35, 2e6, 0.3};
  Table table;
  std::vector<double> x, loss;
  for (int i = 0; i < 14; ++i) {
    x.push_back(5e4 * std::pow(1.9, i));
    loss.push_back(evaluate_law(broken_power_law, truth, std::vector{x.back()}));
  }
  table.add("x", x);
  table.add("L", loss);
  const Fit fit = fit_law(table, {.law = "broken-power", .fixed = {{"f", 0.3}}, .bootstrap = 0});
  REQUIRE_FALSE(fit.refused());
  for (size_t i = 0; i < truth.size(); ++i)
    CHECK(fit.values()[i] == doctest::Approx(truth[i]).epsilon(1e-3));
  const Fit plain = fit_law(table, {.law = "power", .bootstrap = 0});
  CHECK(bend_of(plain).find("drop the rows below the bend") != std::string::npos);
}

// Where the last rung alone is off, no row beyond the bend could be fitted by itself.
TEST_CASE("broken-power: a bend at the last rung asks for what can be done") {
  Table table;
  std::vector<double> x, loss;
  for (int i = 0; i < 12; ++i) {
    x.push_back(1e5 * std::pow(2.0, i));
    loss.push_back(1.2 + 30.0 * std::pow(x.back(), -0.25) * (i == 11 ? 0.5 : 1.0));
  }
  table.add("x", x);
  table.add("L", loss);
  const std::string text = bend_of(fit_law(table, {.law = "power", .bootstrap = 0}));
  CAPTURE(text);
  CHECK(text.find("of 12 values of x lie beyond it, too few") != std::string::npos);
  CHECK(text.find("add runs beyond 2.05e+08") != std::string::npos);
  CHECK(text.find("drop the rows") == std::string::npos);
}

// Huber's penalty of few rows has minima side by side: this ladder's lowest lies two hundredths of
// ln x beside another, 5e-6 higher, in which a sweep of places alone ends.
TEST_CASE("broken-power: the lower of two neighbouring minima") {
  const FitOptions options{.law = "broken-power"};
  const Selection rows = select_rows(simulate(plant(broken_power_law), 0, 490), options);
  const Problem problem = make_problem(rows, options);
  const double known[] = {1.6962, 20.97, 0.051228, 0.30099, 1.05294e+18, 0.33107};
  Vector start(6);
  for (int i = 0; i < 6; ++i) start[i] = to_theta(broken_power_law.coefficients[i], known[i]);
  CHECK(solve(problem).solution.objective <= polish(problem, start).objective * (1.0 + 1e-6));
}

// Data without a break have a minimum wherever a narrow bend fits a gap between points; a start
// grid steps over some.
TEST_CASE("broken-power: the lowest of many shallow minima" * doctest::test_suite("slow")) {
  const FitOptions options{.law = "broken-power"};
  Selection rows = select_rows(read_table(law_data("chinchilla-kyo/df.csv")), options);
  const Problem problem = make_problem(rows, options);
  const Vector optimum = solve(problem).solution.theta;
  // The rows' residuals added once more, and a break that random starts found lowest for them.
  struct Drawn {
    uint64_t draw;
    double c[6];
  };
  // Of the last three a sweep that starts anew from one minimum at every place ends 4e-5 to 1.1e-2
  // higher.
  for (const Drawn& known : {Drawn{4, {1.875, 5270.0, 0.1941, 0.2962, 1.476e21, 0.05}},
                             Drawn{5, {1.792, 2350.0, 0.1740, 0.3183, 4.441e21, 0.05}},
                             Drawn{108, {1.7361, 1521.1, 0.16286, 0.36593, 5.34977e+21, 0.083746}},
                             Drawn{226, {1.5003, 468.4, 0.13202, 0.10247, 4.09488e+20, 0.05}},
                             Drawn{232, {0.0, 56.74, 0.067452, 0.041313, 8.53763e+19, 0.41311}}}) {
    const Selection drawn = perturbed(rows, problem, optimum, known.draw);
    const Problem changed = make_problem(drawn, options);
    Vector start(6);
    for (int i = 0; i < 6; ++i) start[i] = to_theta(broken_power_law.coefficients[i], known.c[i]);
    CAPTURE(known.draw);
    CHECK(solve(changed).solution.objective <= polish(changed, start).objective * (1.0 + 1e-6));
  }
}
