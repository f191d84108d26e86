#include "law/diagnose.h"

#include <doctest/doctest.h>

#include "core/random.h"
#include "law/law_data.h"
#include "law/laws/laws.h"

using namespace rung;

namespace {

// Chinchilla losses at the given points with noise in logs.
Table planted(const std::vector<double>& n, const std::vector<double>& d, double sd,
              double e = 1.8) {
  Table table;
  std::vector<double> loss;
  Random random(3, "diagnose");
  for (size_t i = 0; i < n.size(); ++i)
    loss.push_back(evaluate_law(chinchilla_law, std::vector{e, 480.0, 2100.0, 0.35, 0.37},
                                std::vector{n[i], d[i]}) *
                   std::exp(sd * random.normal()));
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  return table;
}

// size x size grid of N from 1e7 and D from 1e9, `decades` wide each.
Table grid(int size, double decades, double sd) {
  std::vector<double> n, d;
  for (int i = 0; i < size; ++i)
    for (int j = 0; j < size; ++j) {
      n.push_back(1e7 * std::pow(10, decades * i / (size - 1)));
      d.push_back(1e9 * std::pow(10, decades * j / (size - 1)));
    }
  return planted(n, d, sd);
}

std::string has(const Fit& fit, const char* code) {
  for (const Diagnostic& d : fit.diagnostics)
    if (d.code == code) return std::string(severity_name(d.severity));
  return "";
}

const FitOptions quick{.bootstrap = 0};

}  // namespace

TEST_CASE("diagnose: a good design passes without a word") {
  const Fit fit = fit_law(grid(6, 2.5, 0.003), quick);
  CHECK(fit.diagnostics.empty());
  CHECK_FALSE(fit.refused());
}

TEST_CASE("diagnose: what is undetermined is refused and returns no coefficients") {
  const std::vector<double> n = {1e7, 2e7, 5e7, 1e8, 3e8, 1e9, 4e9, 1e10};
  std::vector<double> d20, constant(n.size(), 1e8), spread;
  for (const double v : n) d20.push_back(20 * v);
  for (size_t i = 0; i < n.size(); ++i) spread.push_back(1e9 * std::pow(3.0, (i * 5) % 8));
  const Fit collinear = fit_law(planted(n, d20, 0.002), quick);
  CHECK(has(collinear, "collinear") == "refusal");
  CHECK(collinear.refused());
  CHECK(collinear.coefficients.empty());
  CHECK(has(fit_law(planted(constant, spread, 0.002), quick), "constant-input") == "refusal");
  const Fit few =
      fit_law(planted({1e7, 1e8, 1e9, 1e8, 1e7}, {1e9, 1e10, 1e9, 2e9, 2e10}, 0.0), quick);
  CHECK(has(few, "too-few-points") == "refusal");
}

TEST_CASE("diagnose: an exponent that noise hides is refused") {
  const Fit fit = fit_law(grid(4, 0.12, 0.05), quick);
  CHECK(fit.refused());
}

TEST_CASE("diagnose: a narrow range alone is a warning") {
  const Fit fit = fit_law(grid(6, 0.9, 0.0002), quick);
  CHECK(has(fit, "narrow-range") == "warning");
  CHECK_FALSE(fit.refused());
}

TEST_CASE("diagnose: E that runs to 0 is flagged") {
  std::vector<double> n, d;
  for (int i = 0; i < 25; ++i) {
    n.push_back(1e7 * std::pow(4.0, i / 5));
    d.push_back(1e8 * std::pow(4.0, i % 5));
  }
  const Fit fit = fit_law(planted(n, d, 0.0, -0.1), quick);
  CHECK(has(fit, "at-bound") == "warning");
  CHECK(fit.values()[0] == 0.0);
}

TEST_CASE("diagnose: duplicates and impossible losses are named by row") {
  Table table = grid(5, 2.0, 0.003);
  for (Column& column : table.columns) {
    column.values.push_back(column.values[3]);
    column.values.push_back(column.values[7]);
  }
  table.rows += 2;
  table.columns[2].values.back() = 40.0;
  const Fit fit = fit_law(table, quick);
  CHECK(has(fit, "duplicate-rows") == "warning");
  CHECK(has(fit, "impossible-loss") == "warning");
  for (const Diagnostic& d : fit.diagnostics) {
    if (d.code == "duplicate-rows") CHECK(d.text.find("row 26 = row 4") != std::string::npos);
    if (d.code == "impossible-loss") CHECK(d.text.find("row 27") != std::string::npos);
  }
}

TEST_CASE("diagnose: refusals can be kept as warnings") {
  FitOptions options = quick;
  options.refuse = false;
  const Fit fit = fit_law(grid(4, 0.12, 0.05), options);
  CHECK_FALSE(fit.refused());
  CHECK(fit.coefficients.size() == 5);
}
