#include "study/forecast.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/random.h"

using namespace rung;

namespace {

constexpr double E = 1.25, A = 26.0, exponent = 0.34, noise = 0.008;

struct PlantedLadder {
  std::vector<RunRecord> ladder;
  PathPoint target;
  double truth = 0.0, measured = 0.0;  // the law's value, and one noisy run
};

double law_at(double n, double a = exponent) {
  return E + A * std::pow(n, -a);
}

// The ladder that a climb of a few minutes plans on bytes; every run 20 tokens a parameter.
// `bend` lifts the two smallest rungs off the law, relatively.
PlantedLadder plant(uint64_t seed, double bend = 0.0, double a = exponent) {
  RunConfig base;
  base.model.context = 64;
  ClimbOptions options;
  options.flops = 1.2e14;
  const ClimbPlan plan = plan_climb(base, 256, options);
  Random random(seed, "forecast test");
  PlantedLadder planted{.target = plan.target.point};
  for (size_t i = 0; i < plan.ladder.size(); ++i)
    for (int64_t s = 0; s < plan.ladder[i].seeds; ++s) {
      const PathPoint& p = plan.ladder[i].point;
      RunRecord r;
      r.run = plan.ladder[i].name;
      r.N = p.N, r.D = p.tokens, r.C = p.C, r.seed = static_cast<uint64_t>(s);
      r.L = law_at(static_cast<double>(p.N), a) * (i < 2 ? 1.0 + bend : 1.0) *
            std::exp(noise * random.normal());
      planted.ladder.push_back(r);
    }
  planted.truth = law_at(static_cast<double>(planted.target.N), a);
  planted.measured = planted.truth * std::exp(noise * random.normal());
  return planted;
}

struct Score {
  std::vector<double> errors;  // |ln(predicted / truth)|
  int inside = 0;
  double width = 0.0;  // mean half-width over the loss
  double median() {
    std::sort(errors.begin(), errors.end());
    return errors[errors.size() / 2];
  }
  int64_t within(double limit) const {
    return std::count_if(errors.begin(), errors.end(), [&](double e) { return e <= limit; });
  }
};

Score score(int draws, double a) {
  Score result;
  for (int i = 0; i < draws; ++i) {
    const PlantedLadder planted = plant(1000 + i, 0.0, a);
    const Prediction p =
        forecast(planted.ladder, planted.target, {.level = 0.9, .seed = 1}).prediction;
    result.errors.push_back(std::abs(std::log(p.loss / planted.truth)));
    result.inside += planted.measured >= p.lo && planted.measured <= p.hi;
    result.width += 0.5 * (p.hi - p.lo) / p.loss / draws;
  }
  return result;
}

}  // namespace

// The estimate is limited by the noise of the seeds: leaving out no rung, one or two gives the same
// error. Over 600 other draws 89.5, 92.5 and 95.5 % lie within 1.5 %; 93.5, 91.5 and 92 % are
// covered.
TEST_CASE("a planted law's target is predicted within 1.5 %, and the interval covers it" *
          doctest::test_suite("slow")) {
  int64_t within = 0;
  for (const double a : {0.30, 0.34, 0.42}) {
    Score result = score(100, a);
    MESSAGE("exponent " << a << ": median |error| " << 100.0 * result.median()
                        << " %, within 1.5 % " << result.within(0.015) << "/100, covered "
                        << result.inside << "/100, mean half-width " << 100.0 * result.width
                        << " %");
    CHECK(result.within(0.015) >= 82);
    CHECK(result.inside >= 80);
    CHECK(result.inside <= 98);
    within += result.within(0.015);
  }
  CHECK(within >= 260);  // of 300
}

TEST_CASE("a planted law's target is predicted, the smaller test") {
  Score result = score(30, 0.34);
  CHECK(result.within(0.015) >= 23);
  CHECK(result.inside >= 22);
  CHECK(result.median() < 0.012);
}

// A ladder before its bend looks like a pure power law; E = 0 would send the prediction far down.
TEST_CASE("a ladder without curvature keeps an irreducible loss, unless no belief is held") {
  PlantedLadder planted = plant(7000);
  double lowest = INFINITY;
  for (RunRecord& r : planted.ladder) {
    r.L = 30.0 * std::pow(static_cast<double>(r.N), -0.22) *
          (1.0 + 0.004 * static_cast<double>(r.seed % 2));
    lowest = std::min(lowest, r.L);
  }
  const auto fitted_offset = [&](bool prior) {
    ForecastOptions options{.level = 0.9, .seed = 1};
    options.measures.prior = prior;
    const Forecast f = forecast(planted.ladder, planted.target, options);
    return f.fits[f.best].coefficients[0].value / lowest;
  };
  const double held = fitted_offset(true), open = fitted_offset(false);
  CAPTURE(held);
  CAPTURE(open);
  CHECK(held > 0.05);
  CHECK(held < 0.6);
  CHECK(open < 0.5 * held);
}

TEST_CASE("smallest rungs off the law lose their weight, and dropping them lowers the error") {
  double mixed = 0.0, undropped = 0.0, weight = 0.0;
  constexpr int draws = 20;
  for (int i = 0; i < draws; ++i) {
    const PlantedLadder planted = plant(5000 + i, 0.03);
    const Forecast f = forecast(planted.ladder, planted.target, {.level = 0.9, .seed = 1});
    const double all = f.candidates[0].at("predicted").get<double>();
    REQUIRE(f.candidates[0].at("dropped").get<int>() == 0);
    mixed += std::abs(std::log(f.prediction.loss / planted.truth)) / draws;
    undropped += std::abs(std::log(all / planted.truth)) / draws;
    weight += (1.0 - f.weights[0]) / draws;
  }
  MESSAGE("bend: error " << 100.0 * mixed << " %, without dropping " << 100.0 * undropped
                         << " %, weight of the regimes that drop " << weight);
  CHECK(weight > 0.6);
  CHECK(mixed < undropped);
}

TEST_CASE(
    "a forecast states its candidates and its sources, and depends on nothing but its input") {
  const PlantedLadder planted = plant(7);
  const Forecast f = forecast(planted.ladder, planted.target, {.level = 0.9, .seed = 3});
  CHECK(f.prediction.lo < f.prediction.loss);
  CHECK(f.prediction.loss < f.prediction.hi);
  CHECK(f.prediction.level == 0.9);
  REQUIRE(f.candidates.size() == f.weights.size());
  double sum = 0.0;
  for (const Json& candidate : f.candidates) {
    sum += candidate.at("weight").get<double>();
    CHECK(candidate.at("steps").size() > 0);
    CHECK(candidate.at("predicted").get<double>() > 0.0);
  }
  CHECK(sum == doctest::Approx(1.0));
  for (const char* source : {"fit", "seeds", "form", "rollout", "bend"}) {
    CAPTURE(source);
    CHECK(f.sources.at(source).get<double>() >= 0.0);
    CHECK(f.sources.at(source).get<double>() < 0.1 * f.prediction.loss);
  }
  CHECK(f.sources.at("seeds").get<double>() / f.prediction.loss ==
        doctest::Approx(1.6448536 * f.seed_sd));
  CHECK(f.seed_sd == doctest::Approx(noise).epsilon(0.5));
  const Forecast again = forecast(planted.ladder, planted.target, {.level = 0.9, .seed = 3});
  CHECK(again.prediction.loss == f.prediction.loss);
  CHECK(again.prediction.lo == f.prediction.lo);
  CHECK(again.prediction.hi == f.prediction.hi);
  CHECK(again.candidates == f.candidates);
  CHECK(again.sources == f.sources);
  const Forecast wider = forecast(planted.ladder, planted.target, {.level = 0.98, .seed = 3});
  CHECK(wider.sources.at("seeds").get<double>() / wider.prediction.loss ==
        doctest::Approx(2.3263479 * f.seed_sd));
  CHECK(wider.prediction.hi - wider.prediction.lo > f.prediction.hi - f.prediction.lo);
}

// Bytes of the shipped text, rungs of N 5k to 26k: what lies before the bend there.
TEST_CASE("a slope that steepens along the ladder widens the interval, and says so") {
  PlantedLadder planted = plant(7);
  std::vector<RunRecord>& ladder = planted.ladder;
  std::set<int64_t> sizes;
  for (const RunRecord& r : ladder) sizes.insert(r.N);
  const double largest = std::log(static_cast<double>(*sizes.rbegin()));
  const auto bent = [&](double n) {
    const double x = std::log(n) - largest;
    return std::exp(0.5 - 0.27 * x - (x < 0.0 ? 0.08 * x * x : 0.0));
  };
  for (RunRecord& r : ladder)
    r.L *= bent(static_cast<double>(r.N)) / law_at(static_cast<double>(r.N));
  const Forecast f = forecast(ladder, planted.target, {.level = 0.9, .seed = 1});
  CHECK(f.bend_sd > 0.0);
  CHECK(f.sources.at("bend").get<double>() > f.sources.at("seeds").get<double>());
  const double truth = bent(static_cast<double>(planted.target.N));
  CHECK(f.prediction.lo < truth);
  const PlantedLadder straight = plant(7);
  CHECK(forecast(straight.ladder, straight.target, {}).bend_sd == 0.0);
}

TEST_CASE("fewer than four rungs are refused") {
  PlantedLadder planted = plant(9);
  std::erase_if(planted.ladder, [&](const RunRecord& r) {
    return r.N > planted.ladder.front().N * 2;  // leaves two or three
  });
  try {
    forecast(planted.ladder, planted.target, {.level = 0.9, .seed = 1});
    FAIL("a forecast from too few rungs");
  } catch (const Error& error) {
    CHECK(error.kind == Failure::refused);
    CHECK(std::string(error.what()).find("at least 4 rungs") != std::string::npos);
  }
  CHECK_THROWS_AS(forecast(std::span<const RunRecord>{}, planted.target, {.level = 0.9, .seed = 1}),
                  Error);
}

TEST_CASE("the fit's JSON holds the curve along the path and every run's residual") {
  const PlantedLadder planted = plant(11);
  const Forecast f = forecast(planted.ladder, planted.target, {.level = 0.9, .seed = 3});
  const Json json = forecast_json(f, planted.ladder, {planted.target});
  CHECK(json.at("residuals").size() == planted.ladder.size());
  REQUIRE(json.at("curve").size() == 1);
  CHECK(json.at("curve")[0].at("loss").get<double>() == f.prediction.loss);
  for (const Json& residual : json.at("residuals"))
    CHECK(std::abs(residual.at("fitted").get<double>() / residual.at("L").get<double>() - 1.0) <
          0.05);
}

TEST_CASE("each measure of the forecast can be left out, and does something") {
  const PlantedLadder mild = plant(5, 0.045);
  const double whole = forecast(mild.ladder, mild.target, {}).prediction.loss;
  for (const MeasureName& measure : measure_names) {
    if (!measure.refit) continue;
    CAPTURE(measure.name);
    const ForecastOptions options{.measures = measures_without({std::string(measure.name)})};
    const Forecast f = forecast(mild.ladder, mild.target, options);
    CHECK(std::isfinite(f.prediction.loss));
    CHECK(f.prediction.loss != whole);
  }
  // Without a choice of regime the lifted rungs stay in, and the law is drawn below the truth.
  const PlantedLadder planted = plant(5, 0.08);
  const double all = forecast(planted.ladder, planted.target, {}).prediction.loss;
  const Forecast without =
      forecast(planted.ladder, planted.target, {.measures = measures_without({"regime"})});
  CHECK(without.candidates.size() == 1);
  CHECK(std::abs(std::log(without.prediction.loss / planted.truth)) >
        std::abs(std::log(all / planted.truth)));
}
