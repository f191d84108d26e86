#include "study/transfer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/random.h"
#include "study/sweep.h"

using namespace rung;

namespace {

struct Planted {
  std::vector<RunConfig> members;
  std::vector<RunRecord> records;
};

// Bowls of curvature 0.02 around log2 lr = drift log2(width / 64), nine rates a factor of 2 apart.
Planted plant(double drift, int64_t seeds, double noise) {
  Planted planted;
  for (const int64_t width : {64, 128, 256, 512})
    for (int i = -4; i <= 4; ++i)
      for (int64_t seed = 1; seed <= seeds; ++seed) {
        RunConfig config;
        config.model.width = width;
        config.train.lr = std::exp2(i);
        config.seed = static_cast<uint64_t>(seed);
        const double off = i - drift * std::log2(static_cast<double>(width) / 64.0);
        Random random(config.seed, fmt::format("transfer {} {}", width, i));
        RunRecord record;
        record.L = (2.0 + 0.02 * off * off) * (1.0 + noise * random.normal());
        planted.members.push_back(config);
        planted.records.push_back(record);
      }
  return planted;
}

const std::vector<std::string> keys{"train.lr", "model.width", "seed"};

}  // namespace

TEST_CASE(
    "a planted drift is found, its interval holds it, and keeping the smallest's rate costs") {
  for (const double drift : {0.0, -0.25, 0.5}) {
    const Planted planted = plant(drift, 5, 1e-4);
    const std::vector<Transfer> found = transfers(planted.members, planted.records, keys);
    REQUIRE(found.size() == 1);
    const Transfer& t = found.front();
    CAPTURE(drift);
    CAPTURE(t.drift);
    CHECK(t.key == "model.width");
    CHECK(t.where.empty());
    CHECK(t.seeds == 5);
    CHECK(std::abs(t.drift - drift) < 0.02);
    CHECK(t.lo < t.drift);
    CHECK(t.hi - t.lo < 0.06);
    REQUIRE(t.points.size() == 4);
    CHECK(t.points[0].penalty == 0.0);
    // Three doublings on: curvature (3 drift)^2 over the loss of 2.
    CHECK(t.points[3].penalty == doctest::Approx(0.01 * 9.0 * drift * drift).epsilon(0.15));
    // Within 1 %: one octave to either side.
    CHECK(t.points[0].slack == doctest::Approx(2.0 * std::log10(2.0)).epsilon(0.06));
    // Mean of 0.02 x^2 over x = -4 .. 4.
    CHECK(t.points[0].sensitivity == doctest::Approx(0.02 * 60.0 / 9.0).epsilon(0.01));
    CHECK((t.transfer_error > 1e-3) == (drift != 0.0));
  }
}

TEST_CASE("the rows of a transfer's table fit a terminal of 80 columns") {
  const Planted planted = plant(2.5, 2, 1e-4);
  const std::vector<Transfer> found = transfers(planted.members, planted.records, keys);
  REQUIRE(found.size() == 1);
  Transfer t = found.front();
  CHECK(t.points.back().bowl.at_edge);
  t.key = "train.batch_tokens";
  std::istringstream lines(transfer_text(t));
  size_t widest = 0, rows = 0;
  for (std::string line; std::getline(lines, line) && !line.starts_with("slack"); ++rows)
    widest = std::max(widest, line.size());
  CHECK(rows == 8);
  CHECK(widest <= 80);
}

TEST_CASE("one seed still has an interval, from its bowls") {
  const Planted planted = plant(0.1, 1, 0.0);
  const Transfer t = transfers(planted.members, planted.records, keys).front();
  CHECK(t.seeds == 1);
  CHECK(t.drift == doctest::Approx(0.1).epsilon(0.01));
  CHECK(t.lo < 0.1);
  CHECK(t.hi > 0.1);
}

TEST_CASE("one seed's interval is as wide as its optima scatter about the line") {
  const auto width_of = [](double off) {
    Planted planted = plant(0.1, 1, 0.0);
    // The optima of 128 and 512 lie `off` octaves higher, by other rates at the same losses.
    for (RunConfig& config : planted.members)
      if (config.model.width == 128 || config.model.width == 512) config.train.lr *= std::exp2(off);
    const Transfer t = transfers(planted.members, planted.records, keys).front();
    return t.hi - t.lo;
  };
  CHECK(width_of(0.01) == doctest::Approx(width_of(0.0)).epsilon(0.05));
  CHECK(width_of(1.0) > 3.0 * width_of(0.0));
}

TEST_CASE("a sweep's optimum has the error that its seeds' optima show") {
  const std::vector<std::string> rates{"train.lr", "seed"};
  std::vector<RunConfig> members;
  std::vector<RunRecord> records;
  for (const double shift : {-0.3, 0.0, 0.3})
    for (int i = -2; i <= 2; ++i) {
      RunConfig config;
      config.train.lr = std::exp2(i);
      config.seed = static_cast<uint64_t>(10 + 10 * shift);
      RunRecord record;
      record.L = 2.0 + 0.02 * (i - shift) * (i - shift);
      members.push_back(config);
      records.push_back(record);
    }
  const SweepOptimum three = sweep_optima(members, records, rates).front();
  CHECK(three.seeds == 3);
  CHECK(three.bowl.log2_lr == doctest::Approx(0.0).epsilon(1e-6));
  CHECK(three.se == doctest::Approx(0.3 / std::sqrt(3.0)).epsilon(0.02));
  members.resize(5), records.resize(5);
  const SweepOptimum one = sweep_optima(members, records, rates).front();
  CHECK(one.seeds == 1);
  CHECK(one.se == one.bowl.se);
}

TEST_CASE("intervals of the drift cover at their level") {
  int covered = 0;
  constexpr int draws = 200;
  for (int draw = 0; draw < draws; ++draw) {
    Planted planted = plant(0.2, 4, 0.0);
    Random random(draw, "transfer coverage");
    for (RunRecord& r : planted.records) r.L *= 1.0 + 2e-3 * random.normal();
    const Transfer t = transfers(planted.members, planted.records, keys).front();
    covered += t.lo <= 0.2 && 0.2 <= t.hi;
  }
  CHECK(covered >= 0.82 * draws);
  CHECK(covered <= 0.97 * draws);
}

TEST_CASE("other swept keys keep their families apart, and a key of one value has no transfer") {
  Planted planted = plant(0.0, 1, 0.0), other = plant(0.5, 1, 0.0);
  for (size_t i = 0; i < other.members.size(); ++i) {
    other.members[i].model.depth = 8;
    planted.members.push_back(other.members[i]);
    planted.records.push_back(other.records[i]);
  }
  const std::vector<std::string> both{"train.lr", "model.width", "model.depth"};
  const std::vector<Transfer> found = transfers(planted.members, planted.records, both);
  REQUIRE(found.size() == 6);  // width at two depths, depth at four widths
  CHECK(found[0].where == "model.depth=4");
  CHECK(found[0].drift == doctest::Approx(0.0));
  CHECK(found[1].where == "model.depth=8");
  CHECK(found[1].drift == doctest::Approx(0.5).epsilon(0.01));
  const Planted alone = plant(0.0, 1, 0.0);
  const std::vector<std::string> rate{"train.lr", "train.beta1"};
  CHECK(transfers(alone.members, alone.records, rate).empty());
}

TEST_CASE("a diverged rate leaves its seed and the rest stands") {
  Planted planted = plant(0.0, 3, 0.0);
  for (size_t i = 0; i < planted.records.size(); ++i)
    if (planted.members[i].train.lr == 16.0) planted.records[i].L = NAN;
  const Transfer t = transfers(planted.members, planted.records, keys).front();
  CHECK(t.seeds == 3);
  CHECK(t.drift == doctest::Approx(0.0));
}

TEST_CASE("the transfer error of a matrix by hand") {
  // The best row is the second (1.0); the others' best columns cost 0.3 and 0 there.
  CHECK(transfer_error({{1.4, 1.5, 1.9}, {1.3, 1.0, 1.2}, {2.0, 1.1, 1.6}}) ==
        doctest::Approx((0.3 + 0.0) / 2.0));
  CHECK(transfer_error({{1.0, NAN}, {2.0, 1.5}}) == INFINITY);
  CHECK(transfer_error({{1.0, 2.0}}) == 0.0);
}
