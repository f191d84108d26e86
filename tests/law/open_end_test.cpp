// E at its bound: how far the data leave it open, and where that decides a prediction.
#include "law/open_end.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "law/fit_json.h"
#include "law/predict.h"
#include "law/predict_table.h"
#include "law/uncertainty.h"

using namespace rung;

namespace {

// Losses a little concave in ln N, so that E runs to 0, with ripples of deviation `noise`.
Table concave(double decades, double bend, double noise) {
  Table table;
  std::vector<double> n, loss;
  for (int i = 0; i < 12; ++i) {
    const double u = std::log(10.0) * decades * i / 11.0;
    n.push_back(1e6 * std::exp(u));
    loss.push_back(std::exp(1.4 - 0.08 * u - bend * u * u + noise * std::sin(2.4 * i + 1.0)));
  }
  table.add("N", n);
  table.add("L", loss);
  return table;
}

// Losses of a law with E = 1.8 over five decades, with ripples of 1 % of what is reducible.
Table bending() {
  Table table;
  std::vector<double> n, loss;
  for (int i = 0; i < 12; ++i) {
    n.push_back(1e6 * std::pow(3.0, i));
    loss.push_back(1.8 + 400.0 * std::pow(n.back(), -0.35) * (1 + 0.01 * std::sin(2.4 * i)));
  }
  table.add("N", n);
  table.add("L", loss);
  return table;
}

Fit fit_power(const Table& table, FitOptions options = {}) {
  options.law = "power";
  options.columns = {{"x", "N"}};
  options.objective = "least-squares";
  options.bootstrap = 200;
  return fit_law(table, options);
}

Failure refusal_of(const Prediction& prediction, std::string& text) {
  try {
    refuse_undetermined(prediction, "predict");
  } catch (const Error& error) {
    text = error.what();
    return error.kind;
  }
  return {};
}

}  // namespace

TEST_CASE(
    "open end: on a decade of noisy losses E may lie far above its bound, and decides far out") {
  const Fit fit = fit_power(concave(1.2, 0.004, 0.01));
  REQUIRE_FALSE(fit.refused());
  REQUIRE(fit.values()[0] == 0.0);
  REQUIRE(fit.open_ends.size() == 1);
  const OpenEnd& end = fit.open_ends[0];
  CHECK(end.coefficient == "E");
  CHECK(end.bound == 0.0);
  CHECK(end.values[0] > 0.5);
  CHECK(end.values[0] < 3.0);
  CHECK(end.values[2] > fit.values()[2]);  // the exponent makes up for it on the data

  const Prediction near = predict(fit, {{"N", 2e7}}), far = predict(fit, {{"N", 2e11}});
  REQUIRE(near.at_bound.size() == 1);
  CHECK(near.at_bound[0].share < far.at_bound[0].share);
  CHECK_FALSE(near.at_bound[0].decides);
  CHECK(far.at_bound[0].decides);
  CHECK(far.at_bound[0].loss > 1.05 * far.loss);
  CHECK(undetermined_text(near).empty());
  std::string text;
  CHECK(refusal_of(near, text) == Failure{});
  CHECK(refusal_of(far, text) == Failure::refused);
  CHECK(text.starts_with("[predict] [bound-decides] E ended at its bound 0 and decides here"));
  CHECK(text.find("--bound") != std::string::npos);
  REQUIRE_FALSE(far.warnings.empty());
  CHECK(far.warnings.back() == undetermined_text(far));

  Table rows;
  rows.add("N", {2e6, 2e7, 2e11, 2e12});
  const TablePrediction table = predict_table(fit, rows);
  REQUIRE(table.undetermined);
  CHECK(table.undetermined->first == 2);
}

TEST_CASE("open end: long precise ladders hold E near 0, and predictions ten times beyond stand") {
  const Fit fit = fit_power(concave(5.0, 1e-4, 2e-4));
  REQUIRE(fit.values()[0] == 0.0);
  REQUIRE(fit.open_ends.size() == 1);
  CHECK(fit.open_ends[0].values[0] < 0.1);
  const Prediction at = predict(fit, {{"N", 1e12}});
  CHECK_FALSE(at.at_bound[0].decides);
  CHECK(undetermined_text(at).empty());
}

TEST_CASE("open end: none for an E inside, an E that the caller gives, or refusals turned off") {
  CHECK(fit_power(concave(1.2, 0.004, 0.01), {.fixed = {{"E", 0.0}}}).open_ends.empty());
  CHECK(fit_power(concave(1.2, 0.004, 0.01), {.refuse = false}).open_ends.empty());
  const Fit inside = fit_power(bending());
  CHECK(inside.open_ends.empty());
  CHECK(predict(inside, {{"N", 1e12}}).at_bound.empty());
}

TEST_CASE("open end: laws of a mixture that share an E move it together") {
  const Fit fits[] = {fit_power(concave(1.2, 0.004, 0.01)), fit_power(concave(1.2, 0.004, 0.01))};
  const double weights[] = {1.0, 2.0};
  const Point at = {{"N", 2e11}};
  const Prediction one = predict(fits[0], at), both = predict_mixture(fits, weights, at, 0.9);
  REQUIRE(both.at_bound.size() == 1);
  CHECK(both.at_bound[0].loss == doctest::Approx(one.at_bound[0].loss));
  CHECK(both.at_bound[0].decides);
  CHECK(both.warnings.back() == undetermined_text(both));
}

TEST_CASE("open end: the caller's upper bound leaves E open downwards") {
  const Fit fit = fit_power(bending(), {.bounds = {{"E", {0.0, 1.7}}}});
  REQUIRE(fit.open_ends.size() == 1);
  CHECK(fit.open_ends[0].bound == 1.7);
  CHECK(fit.open_ends[0].values[0] < 1.7);
  CHECK(fit.open_ends[0].values[0] > 1.0);
}

TEST_SUITE("slow") {
  // Their intervals are honest; what is refused says little but how open E is.
  TEST_CASE("open end: intervals of fits whose E ended at 0 hold their level at every distance") {
    std::map<double, std::vector<double>> inside, shares;
    for (const double noise : {0.003, 0.01, 0.03})
      for (const double E : {0.0, 0.5, 1.0, 1.8})
        for (size_t t = 0; t < 30; ++t) {
          Random random(7, fmt::format("{} {}", noise, E), t);
          const double lo = 1e6 * std::pow(10.0, random.uniform());
          const double decades = 1.0 + 0.7 * random.uniform();
          const auto measure = [&](double n, double d) {
            return (E + 60.0 * std::pow(n, -0.22) + 120.0 * std::pow(d, -0.25)) *
                   std::exp(noise * random.normal());
          };
          std::vector<double> n, d, loss;
          for (int i = 0; i < 20; ++i) {
            n.push_back(lo * std::pow(10.0, decades * (i / 4) / 4.0));
            d.push_back(20.0 * lo * std::pow(10.0, decades * (i % 4) / 3.0));
            loss.push_back(measure(n[i], d[i]));
          }
          Table table;
          table.add("N", n);
          table.add("D", d);
          table.add("L", loss);
          const Fit fit = fit_law(table, {.objective = "least-squares", .bootstrap = 200});
          if (fit.open_ends.empty()) continue;
          for (const double factor : {1.0, 10.0, 1000.0}) {
            const double at = lo * std::pow(10.0, decades) * factor;
            const Prediction p = predict(fit, {{"N", at}, {"D", 20.0 * at}});
            const double truth = measure(at, 20.0 * at);
            inside[factor].push_back(truth >= p.lo && truth <= p.hi);
            shares[factor].push_back(p.at_bound.front().share);
          }
        }
    for (const auto& [factor, held] : inside) {
      CAPTURE(factor);
      CHECK(held.size() > 60);
      const double covered = std::accumulate(held.begin(), held.end(), 0.0) / double(held.size());
      CHECK(covered > 0.82);
      CHECK(covered < 0.98);
      MESSAGE(factor, ": ", held.size(), " fits, covered ", covered, ", median share ",
              quantile(shares[factor], 0.5));
    }
    CHECK(quantile(shares[1.0], 0.5) < 0.25);
    CHECK(quantile(shares[1000.0], 0.5) > 0.5);
  }
}

TEST_CASE("open end: fit.json carries it") {
  const Fit fit = fit_power(concave(1.2, 0.004, 0.01));
  const Json json = Json::parse(fit_to_json(fit).dump());
  const Fit read = fit_from_json(json);
  REQUIRE(read.open_ends.size() == 1);
  CHECK(read.open_ends[0].values == fit.open_ends[0].values);
  const Point at = {{"N", 2e11}};
  const Json there = prediction_to_json(predict(read, at));
  CHECK(there == prediction_to_json(predict(fit, at)));
  CHECK(there["at_bound"][0]["coefficient"] == "E");
  CHECK(there["at_bound"][0]["decides"] == true);
  Json broken = json;
  broken["open_ends"][0]["values"].erase(0);
  CHECK_THROWS_AS(fit_from_json(broken), Error);
}
