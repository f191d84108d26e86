// The coordinate check: exact slopes from made samples, verdicts, and planted faults in training.
#include "study/coord.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "study/coord_cases.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

// sizes m^width_power l^depth_power times noise of `spread`, for 4 widths x 3 depths x 4 seeds.
std::vector<CoordSample> made_samples(double width_power, double depth_power, double spread) {
  std::vector<CoordSample> samples;
  Random random(3, "coord");
  for (const int64_t width : {32, 64, 128, 256})
    for (const int64_t depth : {2, 4, 8})
      for (uint64_t seed = 0; seed < 4; ++seed) {
        CoordSample s{.tensor = "t", .width = width, .depth = depth, .horizon = 8, .seed = seed};
        s.value.fill(NAN);
        s.value[0] = std::pow(width, width_power) * std::pow(depth, depth_power) *
                     std::exp(spread * random.normal());
        samples.push_back(s);
      }
  return samples;
}

CoordSlope slope_of(const char* tensor, Quantity quantity, int64_t horizon = 10,
                    const char* axis = "width") {
  return {.tensor = tensor, .quantity = quantity, .axis = axis, .horizon = horizon};
}

std::vector<CoordCase> first_of(std::vector<CoordCase> cases) {
  REQUIRE(cases.size() >= 12);
  cases.resize(12);
  return cases;
}

std::string failures(const CoordResult& result) {
  std::string text;
  for (const std::string& shape : result.diverged) text += shape + " diverged; ";
  for (const CoordSlope& s : result.slopes)
    if (s.verdict == Verdict::fail)
      text +=
          fmt::format("{} of {} over {} at {}: {:.2f} [{:.2f}, {:.2f}]; ",
                      quantity_name(s.quantity), s.tensor, s.axis, s.horizon, s.slope, s.lo, s.hi);
  return text;
}

}  // namespace

TEST_CASE("coord: planted exponents of two axes are found, with intervals that hold them") {
  const std::vector<CoordSlope> exact = fit_slopes(made_samples(0.5, -1.0, 0.0), {});
  REQUIRE(exact.size() == 2);
  CHECK(exact[0].slope == doctest::Approx(0.5));
  CHECK(exact[1].slope == doctest::Approx(-1.0));
  CHECK(exact[0].hi - exact[0].lo < 1e-9);
  const std::vector<CoordSlope> noisy = fit_slopes(made_samples(0.0, 0.5, 0.1), {});
  CHECK(noisy[0].axis == "width");
  CHECK(std::abs(noisy[0].slope) < 0.05);
  CHECK(noisy[0].lo < noisy[0].slope);
  CHECK(noisy[0].hi - noisy[0].lo > 0.02);
  CHECK(noisy[0].hi - noisy[0].lo < 0.2);
  CHECK(std::abs(noisy[1].slope - 0.5) < 0.08);
}

TEST_CASE("coord: intervals widen where the line bends, and cover as often as they say") {
  std::vector<CoordSample> bent = made_samples(0.0, 0.0, 0.01);
  for (CoordSample& s : bent) s.value[0] *= s.width == 64 || s.width == 128 ? 1.3 : 1.0;
  CHECK(fit_slopes(bent, {})[0].hi > 0.08);
  CoordPlan plan;
  int covered = 0;
  constexpr int trials = 300;
  for (int trial = 0; trial < trials; ++trial) {
    std::vector<CoordSample> samples;
    Random random(static_cast<uint64_t>(trial), "cover");
    for (const int64_t width : {32, 64, 128, 256}) {
      const double bend = 0.05 * random.normal();  // common to the seeds of a width
      for (uint64_t seed = 0; seed < 4; ++seed) {
        CoordSample s{.tensor = "t", .width = width, .depth = 2, .horizon = 1, .seed = seed};
        s.value.fill(NAN);
        s.value[0] = std::exp(bend + 0.05 * random.normal());
        samples.push_back(s);
      }
    }
    const CoordSlope slope = fit_slopes(samples, plan).front();
    covered += slope.lo <= 0.0 && 0.0 <= slope.hi ? 1 : 0;
  }
  // 0.9 by the means' scatter alone, more by the wider of two; 4 deviations of a binomial below.
  CHECK(covered > static_cast<int>(trials * (0.9 - 4.0 * std::sqrt(0.09 / trials))));
}

TEST_CASE("coord: verdicts compare the whole interval with the promised band") {
  const auto verdict = [](double lo, double hi, ExponentRange promised) {
    CoordSlope s{.slope = 0.5 * (lo + hi), .lo = lo, .hi = hi, .promised = promised};
    judge(s, 0.25);
    return s.verdict;
  };
  CHECK(verdict(-0.1, 0.1, {0.0, 0.0}) == Verdict::pass);
  CHECK(verdict(0.2, 0.3, {0.0, 0.0}) == Verdict::pass);
  CHECK(verdict(0.26, 0.6, {0.0, 0.0}) == Verdict::fail);
  CHECK(verdict(-0.6, -0.26, {0.0, 0.0}) == Verdict::fail);
  CHECK(verdict(-0.6, -0.26, {-0.5, 0.0}) == Verdict::pass);
  CHECK(verdict(-0.4, 0.4, {0.0, 0.0}) == Verdict::wide);
  CoordSlope free{.slope = 3.0, .lo = 2.0, .hi = 4.0};
  judge(free, 0.25);
  CHECK(free.verdict == Verdict::none);
}

TEST_CASE("coord: what rules promise") {
  RunConfig config = coord_config("mup");
  const auto range = [&](const CoordSlope& slope) {
    const auto r = promised(promise_of(config), config, slope);
    return r ? std::pair{r->lo, r->hi} : std::pair{9.0, 9.0};
  };
  const std::pair none{9.0, 9.0}, flat{0.0, 0.0}, half{-0.5, -0.5}, below{-0.5, 0.0};
  CHECK(range(slope_of("ffn.down", Quantity::change)) == flat);
  CHECK(range(slope_of("ffn.down", Quantity::step)) == below);
  CHECK(range(slope_of("embedding", Quantity::step)) == flat);
  CHECK(range(slope_of("stream", Quantity::update)) == below);
  CHECK(range(slope_of("readout", Quantity::activation, 0)) == half);
  CHECK(range(slope_of("readout", Quantity::activation)) == below);
  CHECK(range(slope_of("attention", Quantity::activation, 0)) == half);
  CHECK(range(slope_of("attention", Quantity::update)) == below);
  CHECK(range(slope_of("ffn.down", Quantity::alignment)) == none);
  RunConfig routed = config;
  routed.model.ffn = "moe";
  std::swap(config, routed);
  CHECK(range(slope_of("ffn.router", Quantity::activation, 0)) == half);
  CHECK(range(slope_of("ffn.router", Quantity::activation)) == below);
  CHECK(range(slope_of("mixer.qkv", Quantity::activation, 0)) == flat);
  std::swap(config, routed);
  CHECK(range(slope_of("ffn.down", Quantity::change, 10, "depth")) == none);
  config.model.head_dim = 8;
  CHECK(range(slope_of("attention", Quantity::activation, 0)) == flat);
  config.train.decay_rule = "width";
  CHECK(range(slope_of("mixer.qkv", Quantity::decay)) == std::pair{-1.0, -1.0});
  CHECK(range(slope_of("embedding", Quantity::decay)) == flat);
  config.train.optimizer = "sgd";
  CHECK(range(slope_of("ffn.down", Quantity::change)) == below);
  config.train.optimizer = "muon";
  CHECK(range(slope_of("ffn.down", Quantity::change)) == std::pair{0.0, 0.5});
  CHECK(range(slope_of("readout", Quantity::change)) == flat);
  config = coord_config("umup");
  CHECK(range(slope_of("embedding", Quantity::step)) == half);
  CHECK(range(slope_of("readout", Quantity::change)) == flat);
  CHECK(range(slope_of("ffn.down", Quantity::change, 10, "depth")) == half);
  config.model.tied = true;
  CHECK(range(slope_of("readout", Quantity::change)) == half);
  config.train.optimizer = "muon";
  CHECK_FALSE(promise_of(config).depth);
  config = coord_config("completep");
  config.train.optimizer = "muon";
  CHECK(promise_of(config).depth);
  config = coord_config("standard");
  CHECK_FALSE(promise_of(config).width);
  config.alignment = "full";
  CHECK(promise_of(config).width);
  config = coord_config("ntk");
  CHECK(promise_of(config).width);
  config.alignment = "none";
  CHECK_FALSE(promise_of(config).width);
}

TEST_CASE("coord: plans without a slope are refused") {
  const auto error = [](CoordPlan plan) {
    return error_of([&] {
      check_coordinates(coord_config("mup"), plan, std::make_shared<ChainSource>(),
                        make_machine("cpu", 1));
    });
  };
  CHECK(error({.widths = {64}}).find("two widths") != std::string::npos);
  CHECK(error({.widths = {32, 64}, .seeds = 1}).find("2 seeds") != std::string::npos);
  CHECK(error({.widths = {32, 64}, .horizons = {}}).find("1 horizon") != std::string::npos);
  CHECK(error({.widths = {0, 64}}).find("Received 0") != std::string::npos);
}

TEST_CASE("coord: a trained grid gives every quantity, and decay at its rate") {
  RunConfig config = coord_config("mup");
  config.model.context = 8;
  config.train.batch_tokens = 64;
  config.train.weight_decay = 0.02;
  CoordPlan plan{.widths = {16, 32}, .depths = {1, 2}, .horizons = {3, 1}, .seeds = 2};
  plan.probe_tokens = 64;
  const CoordResult result =
      check_coordinates(config, plan, std::make_shared<ChainSource>(), make_machine("cpu", 1));
  CHECK(result.samples.size() == 4u * 2 * 3 * 8);  // shapes, seeds, horizons with 0, kinds
  for (const CoordSample& s : result.samples) {
    const auto at = [&](Quantity q) { return s.value[static_cast<size_t>(q)]; };
    CAPTURE(s.tensor);
    CAPTURE(s.horizon);
    const bool weight = s.tensor != "attention" && s.tensor != "stream", trained = s.horizon > 0;
    CHECK(at(Quantity::activation) > 0.0);
    CHECK((at(Quantity::update) > 0.0) == trained);
    CHECK((at(Quantity::step) > 0.0) == (trained && weight));
    CHECK((at(Quantity::change) > 0.0) == (trained && weight && s.tensor != "embedding"));
    CHECK((at(Quantity::alignment) > 0.0) == (trained && weight && s.tensor != "embedding"));
    if (at(Quantity::change) > 0.0)  // the parts of a step
      CHECK(at(Quantity::step) <= at(Quantity::change) * (1.0 + 1e-6));
    if (trained && weight && s.tensor != "embedding")
      CHECK(at(Quantity::decay) == doctest::Approx(0.02).epsilon(0.3));
  }
  const Json json = to_json(result, plan);
  CHECK(json["promises"]["width"] == true);
  CHECK(json["samples"].size() == result.samples.size());
  CHECK(json["alignment"].size() == 2u * 5);
}

TEST_CASE(
    "coord: members that diverge fail a rule with a promise, and are reported under one without") {
  CoordPlan plan{.widths = {16, 32}, .horizons = {1, 3}, .seeds = 2};
  plan.probe_tokens = 16;
  for (const char* rule : {"mup", "standard"}) {
    RunConfig config = coord_config(rule);
    config.model.context = 8;
    config.train.batch_tokens = 64;
    const CoordResult result =
        check_coordinates(config, plan, std::make_shared<ChainSource>(), make_machine("cpu", 1), {},
                          [](Decoder& d) { d.block.loss_logit = d.model.width == 32 ? NAN : 1.0; });
    CHECK(result.diverged == std::vector<std::string>{"w32 d2"});
    CHECK(result.pass() == (rule == std::string("standard")));
    CHECK(to_json(result, plan)["status"] == (result.pass() ? "reported" : "refused"));
  }
}

TEST_SUITE("slow") {
  TEST_CASE("coord: 12 planted faults are found") {
    for (const CoordCase& fault : first_of(planted_faults())) {
      const CoordResult result = run_case(fault);
      MESSAGE(std::string(fault.name) << ": " << failures(result));
      CHECK_MESSAGE(!result.pass(), std::string(fault.name));
    }
  }

  TEST_CASE("coord: 12 right rules pass") {
    for (const CoordCase& rule : first_of(right_rules())) {
      const CoordResult result = run_case(rule);
      MESSAGE(std::string(rule.name) << ": " << result.count(Verdict::pass) << " of "
                                     << result.count(Verdict::pass) + result.count(Verdict::wide));
      CHECK_MESSAGE(result.pass(), std::string(rule.name) << ": " << failures(result));
    }
  }
}
