// Codes that single terms, groups and parts of a procedure earn.
#include <doctest/doctest.h>

#include <cmath>

#include "law/fit.h"
#include "law/procedures/planted.h"

using namespace rung;

TEST_CASE("diagnose: a term that adds nothing to any row is refused") {
  // Losses that fall with D alone, beside sizes that vary freely.
  std::vector<double> n, d, loss;
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 6; ++j) {
      n.push_back(1e7 * std::pow(4.0, i));
      d.push_back(1e9 * std::pow(4.0, j));
      loss.push_back(1.8 + 2100.0 * std::pow(d.back(), -0.37));
    }
  Table table;
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  const Fit fit = fit_law(table, {.bootstrap = 0});
  REQUIRE(fit.refused());
  const Diagnostic* vanishing = find_diagnostic(fit, "vanishing-term");
  REQUIRE(vanishing);
  CHECK(vanishing->severity == Severity::refusal);
  CHECK(vanishing->text.find("(A)") != std::string::npos);
}

TEST_CASE("diagnose: horizons, cells and groups without an optimum are left out by name") {
  std::vector<double> n, d, lr, bs, loss;
  for (const double tokens : {1e10, 4e10, 1.6e11, 6.4e11, 2.56e12})
    for (const double size : {1e8, 1e9})
      for (int i = -3; i <= 3; ++i)
        for (int j = -3; j <= 3; ++j) {
          const bool edge = tokens == 1e10 && size == 1e8;  // swept on one side of its optimum only
          n.push_back(size);
          d.push_back(tokens);
          lr.push_back(3e-3 * std::pow(tokens / 1e10, -0.3) * std::exp(0.3 * i));
          bs.push_back(1e5 * std::pow(tokens / 1e10, 0.5) * std::exp(0.3 * j));
          const double x = 0.3 * i + (edge ? 2.0 : 0.0), y = 0.3 * j;
          loss.push_back(2.5 + 0.02 * x * x + 0.02 * y * y);
        }
  Table table;
  table.add("N", n);
  table.add("D", d);
  table.add("lr", lr);
  table.add("bs", bs);
  table.add("L", loss);
  const Fit bowl = fit_law(table, {.law = "step-law-bowl", .bootstrap = 0});
  REQUIRE(find_diagnostic(bowl, "dropped-cell"));
  CHECK(find_diagnostic(bowl, "dropped-cell")->text.find("1 of 10") != std::string::npos);
  const Fit horizon = fit_law(table, {.law = "lr-horizon", .bootstrap = 0});
  REQUIRE(find_diagnostic(horizon, "dropped-horizon"));
  CHECK(find_diagnostic(horizon, "dropped-horizon")->text.find("1 of 10") != std::string::npos);
}

TEST_CASE("diagnose: groups without a noise scale, tables without records, parts that are open") {
  std::vector<double> x, batch, squared;
  for (const double size : {1e7, 1e8, 1e9, 1e10}) {
    for (const double b : {64.0, 4096.0}) {
      x.push_back(size);
      batch.push_back(b);
      squared.push_back(0.1 * (1.0 + 2.0 * std::pow(size, 0.3) / b));
      if (size == 1e10) squared.back() = b;  // a norm that grows with the batch
    }
  }
  Table norms;
  norms.add("x", x);
  norms.add("B", batch);
  norms.add("G2", squared);
  const Fit scale = fit_law(norms, {.law = "noise-scale", .bootstrap = 0});
  REQUIRE(find_diagnostic(scale, "dropped-group"));
  CHECK_FALSE(scale.refused());
  // Losses that rise with compute have one record.
  Table rising;
  rising.add("Nnv", {1e8, 1e8, 1e8, 1e8, 1e8});
  rising.add("V", {32000, 32000, 32000, 32000, 32000});
  rising.add("d", {768, 768, 768, 768, 768});
  rising.add("H", {1e9, 2e9, 3e9, 4e9, 5e9});
  rising.add("L_u", {-1.0, -0.9, -0.8, -0.7, -0.6});
  const Fit records = fit_law(rising, {.law = "vocabulary-1", .bootstrap = 0});
  REQUIRE(find_diagnostic(records, "too-few-records"));
  CHECK(records.refused());
  // Three budgets determine N_opt = k C^a, but not the three coefficients of the loss.
  const Fit parts =
      fit_law(isoflop_table({}, 3, 7, 1.5, 1.0, 0.0, 1), {.law = "isoflop", .bootstrap = 0});
  CHECK_FALSE(parts.refused());
  REQUIRE(find_diagnostic(parts, "part-refused"));
  CHECK(find_diagnostic(parts, "part-refused")->text.find("L_opt") != std::string::npos);
}

TEST_CASE("diagnose: resamples that often give no points are warned of") {
  // Four budgets whose curves are so flat that noise often takes a minimum away.
  const Table table = isoflop_table({}, 4, 7, 1.12, 1.0, 1e-3, 1);
  const Fit fit = fit_law(table, {.law = "isoflop", .bootstrap = 200, .threads = 1});
  REQUIRE_FALSE(fit.refused());
  CHECK(find_diagnostic(fit, "unstable-derivation"));
}
