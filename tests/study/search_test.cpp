#include "study/search.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "core/error.h"

using namespace rung;

namespace {

std::vector<RunConfig> seeds_of(int64_t count) {
  std::vector<RunConfig> seeds;
  for (int64_t s = 1; s <= count; ++s) {
    RunConfig config;
    config.seed = static_cast<uint64_t>(s);
    config.train.tokens = 1 << 20;
    seeds.push_back(config);
  }
  return seeds;
}

// A bowl around lr 0.5, alpha_attn 2 and alpha_res 0.25, with a little of the seed in it; shorter
// runs lose more.
double planted_loss(const RunConfig& c) {
  const double lr = std::log2(c.train.lr / 0.5), attn = std::log2(c.multipliers.alpha_attn / 2.0),
               res = std::log2(c.multipliers.alpha_res / 0.25);
  return 2.0 + 0.03 * lr * lr + 0.01 * attn * attn + 0.02 * res * res +
         1e-3 * static_cast<double>(c.seed) + 1e3 / static_cast<double>(c.train.tokens);
}

struct Trained {
  std::vector<std::string> stages;
  std::vector<size_t> sizes;
  std::vector<int64_t> tokens;
  TrainStage train(double diverge_above = INFINITY) {
    return [this, diverge_above](const std::string& stage, std::span<const RunConfig> members) {
      stages.push_back(stage);
      sizes.push_back(members.size());
      tokens.push_back(members.front().train.tokens);
      StudyResult result;
      for (const RunConfig& config : members) {
        RunRecord record;
        record.L = config.train.lr > diverge_above ? NAN : planted_loss(config);
        result.records.push_back(record);
      }
      result.seconds = 1.0;
      return result;
    };
  }
};

const std::vector<Setting> over{parse_setting("train.lr=2^-4..2^2:7"),
                                parse_setting("multipliers.alpha_attn=2^-2..2^2:5"),
                                parse_setting("multipliers.alpha_res=2^-3..2^3:7")};

}  // namespace

TEST_CASE("an independent search finds the best of separate settings in a sum of lines") {
  Trained trained;
  const SearchOutcome found = independent_search(seeds_of(2), over, trained.train());
  CHECK(trained.stages == std::vector<std::string>{"rates", "lines", "combined"});
  CHECK(trained.sizes == std::vector<size_t>{14, 24, 2});
  CHECK(found.points == 7 + 5 + 7 + 1);
  CHECK(found.winner.train.lr == 0.5);
  CHECK(found.winner.multipliers.alpha_attn == 2.0);
  CHECK(found.winner.multipliers.alpha_res == 0.25);
  CHECK(found.loss == doctest::Approx(2.0 + 1.5e-3 + 1e3 / (1 << 20)));
  CHECK(found.records.size() == found.members.size());
  CHECK(found.seconds == 3.0);
}

TEST_CASE("a rate that diverges does not win, and the search needs rates") {
  Trained trained;
  CHECK(independent_search(seeds_of(1), over, trained.train(0.3)).winner.train.lr ==
        doctest::Approx(0.25));
  Trained none;
  CHECK_THROWS_AS(independent_search(seeds_of(1), std::span(over).subspan(1), none.train()), Error);
}

TEST_CASE("random points lie within their ranges, log-uniformly, and are the same again") {
  std::vector<Setting> wide = over;
  wide.push_back(parse_setting("model.width=[16,24,32]"));
  const auto members = random_points(seeds_of(2), wide, 400, 5);
  REQUIRE(members.size() == 800);
  double mean = 0.0;
  std::set<int64_t> widths;
  std::set<double> rates;
  for (size_t i = 0; i < members.size(); i += 2) {
    CHECK(members[i].train.lr >= std::exp2(-4));
    CHECK(members[i].train.lr <= std::exp2(2));
    CHECK(members[i].train.lr == members[i + 1].train.lr);
    CHECK(members[i].seed != members[i + 1].seed);
    mean += std::log2(members[i].train.lr) / 400.0;
    widths.insert(members[i].model.width);
    rates.insert(members[i].train.lr);
  }
  CHECK(std::abs(mean + 1.0) < 0.3);  // the middle of -4 .. 2; standard error 0.087
  CHECK(widths == std::set<int64_t>{16, 24, 32});
  CHECK(rates.size() == 400);
  CHECK(random_points(seeds_of(2), wide, 400, 5)[77].train.lr == members[77].train.lr);
  CHECK(random_points(seeds_of(2), wide, 400, 6)[77].train.lr != members[77].train.lr);
  CHECK_THROWS_AS(random_points(seeds_of(1), wide, 0, 5), Error);
}

TEST_CASE("halving trains half as many twice as long, and its winner is the best of the drawn") {
  Trained trained;
  const SearchOutcome found = halving_search(seeds_of(1), over, 16, 3, trained.train());
  CHECK(trained.sizes == std::vector<size_t>{16, 8, 4, 2, 1});
  CHECK(trained.tokens == std::vector<int64_t>{1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20});
  double best = INFINITY;
  for (const RunConfig& config : random_points(seeds_of(1), over, 16, 3))
    best = std::min(best, planted_loss(config));
  CHECK(found.loss == doctest::Approx(best));
  CHECK(found.winner.train.tokens == 1 << 20);
}

TEST_CASE("a Bayesian search comes nearer than random points of the same number") {
  double searched = 0.0, drawn = 0.0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Trained trained;
    const SearchOutcome found = bayesian_search(seeds_of(1), over, 32, seed, trained.train());
    CHECK(found.points == 32);
    CHECK(trained.sizes == std::vector<size_t>{8, 8, 8, 8});
    searched += found.loss / 10.0;
    double best = INFINITY;
    for (const RunConfig& config : random_points(seeds_of(1), over, 32, seed))
      best = std::min(best, planted_loss(config));
    drawn += best / 10.0;
  }
  const double least = 2.0 + 1e-3 + 1e3 / (1 << 20);
  CAPTURE(searched - least);
  CAPTURE(drawn - least);
  CHECK(searched - least < 0.5 * (drawn - least));
  Trained trained;
  CHECK_THROWS_AS(bayesian_search(seeds_of(1), over, 7, 1, trained.train()), Error);
}

TEST_CASE("an interrupted stage ends a search with what is known") {
  const TrainStage stops = [](const std::string&, std::span<const RunConfig>) {
    StudyResult result;
    result.interrupted = true;
    return result;
  };
  CHECK(independent_search(seeds_of(1), over, stops).interrupted);
  CHECK(halving_search(seeds_of(1), over, 4, 1, stops).interrupted);
  CHECK(bayesian_search(seeds_of(1), over, 8, 1, stops).interrupted);
}
