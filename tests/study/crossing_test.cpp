#include "study/crossing.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/random.h"
#include "study/ranking.h"

using namespace rung;

namespace {

struct PlantedLaw {
  double E, A, a;
  double at(double n) const { return E + A * std::pow(n, -a); }
};

// A ladder of six rungs with two to five seeds, and a path on which C = 120 N^2 at 1e9 FLOP/s.
Contender planted(const std::string& name, const PlantedLaw& law, double noise, uint64_t seed) {
  Contender contender{.name = name, .runs = {}};
  Random random(seed, name);
  const double sizes[] = {2e4, 3e4, 4.5e4, 7e4, 1.1e5, 1.6e5, 3.6e5};
  for (int i = 0; i < 7; ++i)
    for (int s = 0; s < (i == 6 ? 1 : 5 - i / 2); ++s) {
      RunRecord r;
      r.kind = i == 6 ? "target" : "ladder";
      r.N = static_cast<int64_t>(sizes[i]), r.D = 20 * r.N;
      r.C = 120.0 * sizes[i] * sizes[i];
      r.L = law.at(sizes[i]) * std::exp(noise * random.normal());
      r.seconds = r.C / 1e9;
      r.seed = static_cast<uint64_t>(s);
      contender.runs.push_back(r);
    }
  return contender;
}

std::vector<double> sizes_from(double from, double to) {
  std::vector<double> grid;
  for (int i = 0; i < 41; ++i) grid.push_back(from * std::pow(to / from, i / 40.0));
  return grid;
}

Comparison compare(const PlantedLaw& first, const PlantedLaw& second, double noise, uint64_t seed) {
  const std::vector<double> axis = sizes_from(2e4, 3.6e6);
  const LossCurve a = loss_curve(planted("first", first, noise, seed), axis, {});
  const LossCurve b = loss_curve(planted("second", second, noise, seed + 1), axis, {});
  return compare_curves("first", a, "second", b, axis, "parameters");
}

}  // namespace

TEST_CASE("two planted laws cross where they were planted to, inside the interval") {
  // Equal at N = 1e5: the first falls more slowly.
  const PlantedLaw first{1.2, 20.0, 0.28}, second{1.2, 20.0 * std::pow(1e5, 0.12), 0.40};
  int inside = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Comparison c = compare(first, second, 0.003, 2 * seed);
    REQUIRE_MESSAGE(c.crossing.has_value(), c.verdict);
    CHECK(c.verdict.find("second beats first beyond") == 0);
    CHECK(c.crossing->value == doctest::Approx(1e5).epsilon(0.3));
    inside += c.crossing->lo <= 1e5 && 1e5 <= c.crossing->hi;
    CHECK(c.ahead.front() > 0.95);
    CHECK(c.ahead.back() < 0.05);
  }
  CHECK(inside >= 7);
}

TEST_CASE("what a climb's own prediction missed opens its curve beyond the largest run alone") {
  const std::vector<double> axis = sizes_from(2e4, 3.6e6);  // the largest run has 3.6e5
  Contender contender = planted("first", {1.2, 20.0, 0.3}, 0.003, 7);
  const auto spread = [&](size_t at) {
    const LossCurve curve = loss_curve(contender, axis, {});
    double squares = 0.0;
    for (const auto& draw : curve.draws)
      squares += std::pow(std::log(draw[at] / curve.loss[at]), 2);
    return std::sqrt(squares / static_cast<double>(curve.draws.size()));
  };
  const double before = spread(10), far = spread(40);
  contender.missed = 0.03;
  CHECK(spread(10) == doctest::Approx(before).epsilon(0.2));
  CHECK(spread(40) == doctest::Approx(std::hypot(far, 0.03 * std::log(10.0))).epsilon(0.1));
}

TEST_CASE("standings are ascending in loss, straight in logarithms between points") {
  const std::vector<double> axis{1.0, 100.0};
  const std::vector<Contender> contenders{{.name = "a", .runs = {}}, {.name = "b", .runs = {}}};
  const std::vector<LossCurve> curves{
      {.loss = {4.0, 1.0}, .draws = {{4.0, 1.0}, {4.4, 1.1}, {3.6, 0.9}}},
      {.loss = {1.0, 1.0}, .draws = {{1.0, 1.0}, {1.0, 1.0}, {1.0, 1.0}}}};
  const std::vector<Standing> all = standings(contenders, curves, axis, 10.0);
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "b");
  CHECK(all[1].loss == doctest::Approx(2.0));
  CHECK(all[1].lo == doctest::Approx(1.8));
  CHECK(all[0].hi == doctest::Approx(1.0));
}

TEST_CASE("a law that lies below everywhere is ahead everywhere; equal laws cannot be told") {
  const PlantedLaw low{1.2, 20.0, 0.3}, high{1.5, 20.0, 0.3};
  const Comparison ahead = compare(low, high, 0.003, 5);
  CHECK_MESSAGE(ahead.verdict.find("first is ahead of second from 2e+04 to 3.6e+06") == 0,
                ahead.verdict);
  CHECK_FALSE(ahead.crossing.has_value());
  int told = 0;
  for (uint64_t seed = 20; seed < 30; ++seed) {
    const Comparison equal = compare(low, low, 0.006, seed);
    told += equal.ahead.back() > 0.95 || equal.ahead.back() < 0.05;
    CHECK_FALSE(equal.crossing.has_value());
  }
  CHECK(told <= 3);
}

TEST_CASE("one E for two ladders is kept where they share it and rejected where they do not") {
  const auto rungs = [](const Contender& c) {
    double pooled = 0.0;
    return rung_means(c.runs, rung_deviations(c.runs, pooled));
  };
  int kept = 0;
  for (uint64_t seed = 0; seed < 20; ++seed)
    kept += shared_offset_probability(rungs(planted("a", {1.2, 20.0, 0.28}, 0.002, seed)),
                                      rungs(planted("b", {1.2, 60.0, 0.38}, 0.002, seed))) > 0.05;
  CHECK(kept >= 16);
  CHECK(shared_offset_probability(rungs(planted("a", {0.4, 20.0, 0.28}, 0.0002, 1)),
                                  rungs(planted("b", {1.9, 60.0, 0.38}, 0.0002, 1))) < 0.05);
}

TEST_CASE("what is spent goes along the path and back") {
  const Contender c = planted("path", {1.2, 20.0, 0.3}, 0.0, 1);
  const SpentPath path(c.runs);
  CHECK(path.least() == doctest::Approx(120.0 * 4e8));
  CHECK(path.most() == doctest::Approx(120.0 * 3.6e5 * 3.6e5));
  for (const double n : {2e4, 5e4, 3.6e5, 3.6e6}) {
    CHECK(path.N_at(120.0 * n * n) == doctest::Approx(n).epsilon(1e-6));
    CHECK(path.seconds_at(120.0 * n * n) == doctest::Approx(120.0 * n * n / 1e9).epsilon(1e-6));
    CHECK(path.flops_in(120.0 * n * n / 1e9) == doctest::Approx(120.0 * n * n).epsilon(1e-6));
  }
  // Single runs that were timed alone, twice as fast as in their populations.
  std::vector<RunRecord> timed{c.runs.front(), c.runs.back()};
  for (RunRecord& run : timed) run.seconds = run.C / 2e9;
  const SpentPath alone(c.runs, timed);
  CHECK(alone.N_at(120.0 * 5e4 * 5e4) == path.N_at(120.0 * 5e4 * 5e4));
  CHECK(alone.seconds_at(120.0 * 5e4 * 5e4) == doctest::Approx(120.0 * 5e4 * 5e4 / 2e9));
}
