#include "study/seed_means.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/random.h"

using namespace rung;

namespace {

struct SeededSweep {
  std::vector<RunConfig> members;
  std::vector<RunRecord> records;

  void add(const std::string& mixer, uint64_t seed, double loss, double flops = 1e9) {
    members.emplace_back();
    members.back().model.mixer = mixer;
    members.back().seed = seed;
    records.emplace_back();
    records.back().L = loss;
    records.back().C = flops;
  }
  std::vector<SeedMean> means() const { return seed_means(members, records, keys); }
  std::string text() const { return seed_means_text(means(), members, keys); }

  const std::vector<std::string> keys{"model.mixer", "seed"};
};

}  // namespace

TEST_CASE(
    "means over seeds: the lowest leads, differences have Student's interval of two samples") {
  SeededSweep sweep;
  for (const double loss : {3.0, 3.1, 3.2}) sweep.add("attention", sweep.members.size(), loss);
  for (const double loss : {2.9, 3.0, 3.1}) sweep.add("mamba2", sweep.members.size(), loss, 2e9);
  sweep.add("mlgru", 1, 4.0);
  sweep.add("mlgru", 2, NAN);
  const std::vector<SeedMean> means = sweep.means();
  REQUIRE(means.size() == 3);
  CHECK(means[0].first == 3);
  CHECK(means[0].L == doctest::Approx(3.0));
  CHECK(means[1].behind == doctest::Approx(0.1));
  // t(0.95, 4) = 2.1318, deviations of 0.1.
  CHECK(means[1].hi - means[1].behind ==
        doctest::Approx(2.1318 * 0.1 * std::sqrt(2.0 / 3)).epsilon(1e-3));
  CHECK(!means[1].beyond_seeds());
  CHECK(means[2].diverged == 1);
  CHECK(std::isnan(means[2].lo));
  CHECK(sweep.text().find("within seeds' noise") != std::string::npos);
  CHECK(sweep.text().find("1 of 2") != std::string::npos);
  CHECK(sweep.text().find("differ up to 2 times") != std::string::npos);
}

TEST_CASE("means over seeds: nothing where each setting has one seed, or there is one setting") {
  SeededSweep alone;
  alone.add("attention", 1, 3.0);
  alone.add("mamba2", 1, 2.9);
  CHECK(alone.means().empty());
  SeededSweep one;
  one.add("attention", 1, 3.0);
  one.add("attention", 2, 2.9);
  CHECK(one.means().empty());
}

TEST_CASE("means over seeds: of settings that do not differ one pair in ten is told apart") {
  int called = 0;
  constexpr int sweeps = 2000;
  Random random(1, "seed means");
  for (int k = 0; k < sweeps; ++k) {
    SeededSweep sweep;
    for (uint64_t seed = 1; seed <= 3; ++seed)
      for (const char* mixer : {"attention", "mamba2"})
        sweep.add(mixer, seed, 3.0 + 0.01 * random.normal());
    called += sweep.means()[1].beyond_seeds();
  }
  // The one behind is the higher of the two: both tails of the interval's 90 %.
  CHECK(called > 0.08 * sweeps);
  CHECK(called < 0.12 * sweeps);
}
