// Objectives, tied and fixed coefficients, weights, clusters and profiles on planted Chinchilla
// data.
#include "law/objective.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/error.h"
#include "core/random.h"
#include "law/fit_json.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/power_term.h"
#include "law/profile.h"
#include "law/select.h"
#include "law/uncertainty.h"

using namespace rung;

namespace {

constexpr double planted[] = {1.8, 480.0, 2100.0, 0.35, 0.37};

// 6 sizes x 6 lengths, `repeats` rows each with noise; rows of a run share a deviation of `shared`.
Table ladder(int repeats, double sd, double shared = 0.0) {
  Table table;
  std::vector<double> n, d, loss, run, w;
  Random random(11, "ladder");
  for (int cell = 0; cell < 36; ++cell) {
    const double common = shared * random.normal();
    for (int i = 0; i < repeats; ++i) {
      n.push_back(1e7 * std::pow(10, 0.5 * (cell / 6)));
      d.push_back(1e9 * std::pow(10, 0.5 * (cell % 6)));
      loss.push_back(evaluate_law(chinchilla_law, planted, std::vector{n.back(), d.back()}) *
                     std::exp(sd * random.normal() + common));
      run.push_back(cell);
      w.push_back(1.0 + i % 2);
    }
  }
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  table.add("run", run);
  table.add("w", w);
  return table;
}

double value(const Fit& fit, const char* name) {
  return fit.values()[find_coefficient(*fit.law, name)];
}

double share_above(const Fit& fit) {
  double above = 0.0;
  for (const FittedRow& row : fit.fitted) above += row.measured > row.law;
  return above / static_cast<double>(fit.fitted.size());
}

}  // namespace

TEST_CASE("objective: quantile fits leave the asked share of rows above") {
  const Table table = ladder(4, 0.01);
  FitOptions options{.objective = "quantile", .bootstrap = 0};
  for (const double tau : {0.2, 0.5, 0.9}) {
    options.tau = tau;
    CHECK(share_above(fit_law(table, options)) == doctest::Approx(1.0 - tau).epsilon(0.04));
  }
  options.tau = 1.0;
  CHECK_THROWS_AS(fit_law(table, options), Error);
}

TEST_CASE("objective: raw and log least squares recover, and differ") {
  const Table table = ladder(2, 0.003);
  const Fit raw = fit_law(table, {.objective = "raw-least-squares", .bootstrap = 0});
  const Fit logs = fit_law(table, {.objective = "least-squares", .bootstrap = 0});
  CHECK(value(raw, "E") == doctest::Approx(1.8).epsilon(0.03));
  CHECK(value(logs, "E") == doctest::Approx(1.8).epsilon(0.03));
  CHECK(value(raw, "E") != doctest::Approx(value(logs, "E")).epsilon(1e-6));
  CHECK(raw.residual_rms > 2 * logs.residual_rms);  // nats against shares of losses near 3
}

TEST_CASE("fit: tied coefficients are the constrained optimum") {
  const Table table = ladder(2, 0.003);
  const Fit free = fit_law(table, {.bootstrap = 0});
  const Fit tied = fit_law(table, {.ties = {{"alpha", "beta"}}, .bootstrap = 100});
  CHECK(value(tied, "alpha") == value(tied, "beta"));
  CHECK(tied.coefficients[3].tied_to == "beta");
  CHECK(tied.objective_value > free.objective_value);
  for (const auto& sample : tied.samples) CHECK(sample[3] == sample[4]);
  // Nowhere along the tie is there a better point: the free fit with both held at one value.
  for (const double step : {-1e-3, 1e-3}) {
    const double at = value(tied, "beta") + step;
    const Fit held = fit_law(table, {.fixed = {{"alpha", at}, {"beta", at}}, .bootstrap = 0});
    CHECK(held.objective_value > tied.objective_value);
  }
  CHECK(fit_to_json(tied)["coefficients"]["alpha"]["tied_to"] == "beta");
  CHECK_THROWS_AS(fit_law(table, {.ties = {{"alpha", "A"}}}), Error);
}

TEST_CASE("fit: derivatives of a tied problem match finite differences") {
  const Table table = ladder(1, 0.003);
  const FitOptions options{.objective = "least-squares", .ties = {{"A", "B"}}};
  const Selection selection = select_rows(table, options);
  const Problem problem = make_problem(selection, options);
  Vector theta(5);
  theta << 1.7, 0.0, std::log(900.0), 0.34, 0.36;
  const Derivatives at = derivatives_at(problem, theta);
  for (int i = 0; i < 5; ++i) {
    const double step = 1e-5;
    Vector up = theta, down = theta;
    up[i] += step, down[i] -= step;
    const double slope = (objective_at(problem, up) - objective_at(problem, down)) / (2 * step);
    CHECK(at.gradient[i] == doctest::Approx(slope).epsilon(1e-5));
    const Vector change =
        (derivatives_at(problem, up).gradient - derivatives_at(problem, down).gradient) /
        (2 * step);
    for (int j = 0; j < 5; ++j) CHECK(at.hessian(i, j) == doctest::Approx(change[j]).epsilon(1e-4));
  }
}

TEST_CASE("fit: fixed, bounded and weighted") {
  const Table table = ladder(2, 0.003);
  const Fit fixed = fit_law(table, {.fixed = {{"E", 1.7}}, .bootstrap = 50});
  CHECK(value(fixed, "E") == 1.7);
  CHECK(fixed.coefficients[0].fixed);
  const Fit bounded = fit_law(table, {.bounds = {{"alpha", {0.1, 0.3}}}, .bootstrap = 0});
  CHECK(value(bounded, "alpha") == doctest::Approx(0.3));
  // A side left open keeps the law's own bound, of a positive coefficient too.
  const Fit half = fit_law(table, {.bounds = {{"alpha", {-INFINITY, 0.3}}}, .bootstrap = 0});
  CHECK(value(half, "alpha") == doctest::Approx(0.3));
  const Fit above = fit_law(table, {.bounds = {{"A", {-INFINITY, 200.0}}}, .bootstrap = 0});
  CHECK(value(above, "A") == doctest::Approx(200.0));
  CHECK_THROWS_WITH_AS(fit_law(table, {.ties = {{"alpha", "alpha"}}}),
                       "[fit] A coefficient cannot be tied to itself. Received alpha=alpha.",
                       Error);
  // A weight of two is the row twice.
  const Fit weighted = fit_law(table, {.weight_column = "w", .bootstrap = 0});
  Table twice = table;
  for (size_t i = 1; i < table.rows; i += 2, ++twice.rows)
    for (size_t c = 0; c < table.columns.size(); ++c)
      twice.columns[c].values.push_back(table.columns[c].values[i]);
  const Fit repeated = fit_law(twice, {.bootstrap = 0});
  CHECK(weighted.objective_value == doctest::Approx(repeated.objective_value).epsilon(1e-9));
  CHECK(value(weighted, "B") == doctest::Approx(value(repeated, "B")).epsilon(1e-5));
}

TEST_CASE("bootstrap: clusters widen the intervals where rows of a run share their noise") {
  const Table table = ladder(6, 0.0005, 0.004);
  const Fit rows = fit_law(table, {.bootstrap = 300});
  const Fit runs = fit_law(table, {.bootstrap = 300, .cluster_column = "run"});
  CHECK(runs.coefficients[3].se > 1.6 * rows.coefficients[3].se);  // sqrt(6) when only runs count
  CHECK(runs.checklist["fitting"]["interval"] == "cluster bootstrap");
  FitOptions options{.objective = "least-squares", .bootstrap = 300, .cluster_column = "run"};
  const double resampled = fit_law(table, options).coefficients[3].se;
  options.bootstrap = 0;
  const double ratio = fit_law(table, options).coefficients[3].se / resampled;
  CHECK(ratio > 0.6);
  CHECK(ratio < 1.6);
}

TEST_CASE("profile: its interval agrees with least squares' standard errors") {
  const Table table = ladder(3, 0.003);
  const Fit fit = fit_law(table, {.objective = "least-squares", .bootstrap = 0, .profile = true});
  REQUIRE(fit.profiles.size() == 5);
  for (size_t i = 0; i < 5; ++i) {
    const Profile& p = fit.profiles[i];
    CAPTURE(p.name);
    CHECK(std::is_sorted(p.values.begin(), p.values.end()));
    CHECK(*std::min_element(p.deviance.begin(), p.deviance.end()) == 0.0);
    const Estimate& e = fit.coefficients[i];
    CHECK((p.hi - p.lo) / (e.hi - e.lo) > 0.75);
    CHECK((p.hi - p.lo) / (e.hi - e.lo) < 1.33);
    CHECK(p.lo < e.value);
    CHECK(p.hi > e.value);
  }
  CHECK(fit.profiles[0].threshold == doctest::Approx(2.7055).epsilon(1e-4));
  const Fit read = fit_from_json(Json::parse(fit_to_json(fit).dump()));
  CHECK(read.profiles[2].deviance == fit.profiles[2].deviance);
}

TEST_CASE("profile: a side that the data leave open says so") {
  // A third of the noise-free range of D: beta runs off towards its bound.
  Table table = ladder(1, 0.02);
  FitOptions options{
      .objective = "least-squares", .bootstrap = 0, .profile = true, .refuse = false};
  options.where = "D < 2e9 || D < 4e9 && N < 1e8";
  const Fit fit = fit_law(table, options);
  CHECK(std::isnan(fit.profiles[4].hi));
}

TEST_CASE("power term: one pass gives what products and exponentials of duals give") {
  const Jet<1, 2> A = Jet<1, 2>::variable(480.0);
  const Jet<2, 2> a = Jet<2, 2>::variable(0.35);
  const Jet<4, 2> b = Jet<4, 2>::variable(2.0);
  // Factors and exponents that are themselves functions of the coefficients.
  const auto factor = A * b + a, exponent = a * b + A * 1e-4;
  const Dual<3, 2> expected = factor * exp(-exponent * 1.7);
  const Dual<3, 2> found = power_term(factor, exponent, 1.7);
  CHECK(found.value == doctest::Approx(expected.value).epsilon(1e-13));
  for (int i = 0; i < 3; ++i)
    CHECK(found.gradient[i] == doctest::Approx(expected.gradient[i]).epsilon(1e-12));
  for (int i = 0; i < 6; ++i)
    CHECK(found.hessian[i] == doctest::Approx(expected.hessian[i]).epsilon(1e-12));
}
