#include "../specs.h"

using namespace rung;
using namespace rung::test;

TEST_CASE(
    "spectral: B = fan_in^-1/2 min(1, sqrt(out / in)), Adam LR 1 / m, SGD LR as fan_out / fan_in") {
  for (const int64_t width : {64, 128, 256, 1024, 4096}) {
    const double w = static_cast<double>(width), m = w / 64.0;
    const Dims d = dims(width), sgd = dims(width, 4, "sgd");
    const TensorSpec up = spec(Role::hidden, width, 3 * width, 0);
    const TensorSpec down = spec(Role::hidden, 3 * width, width, 0);
    check(factors("spectral", up, d), 1, 1 / std::sqrt(w), 1 / m, 1 / m);
    check(factors("spectral", down, d), 1, 1 / (3 * std::sqrt(w)), 1 / m, 1 / m);
    check(factors("spectral", spec(Role::embedding, 1, width), d), 1, 1, 1, 1 / m);
    const double readout = std::min(1.0, std::sqrt(256 / w)) / std::sqrt(w);
    check(factors("spectral", spec(Role::readout, width, 256), d), 1, readout, 1 / m, 1);
    // Over the base: fan_out grows alone, both grow, fan_in grows alone.
    CHECK(factors("spectral", spec(Role::embedding, 1, width), sgd).C == doctest::Approx(m));
    CHECK(factors("spectral", up, sgd).C == doctest::Approx(1.0));
    CHECK(factors("spectral", spec(Role::readout, width, 256), sgd).C == doctest::Approx(1 / m));
  }
}

TEST_CASE(
    "Muon's hidden LR is sqrt(max(1, fan_out / fan_in)) / A whatever the rule, width and depth") {
  for (const auto& [width, depth] :
       {std::pair<int64_t, int64_t>{64, 4}, {128, 8}, {256, 16}, {1024, 2}, {4096, 64}}) {
    const Dims d = dims(width, depth, "muon");
    for (const char* rule : {"standard", "ntk", "mup", "mup-table9", "mfp", "completep",
                             "depth-mup", "umup", "spectral", "unit-scaling"}) {
      CAPTURE(rule);
      const TensorSpec up = spec(Role::hidden, width, 3 * width, 0);
      const TensorSpec down = spec(Role::hidden, 3 * width, width, 0);
      const Factors f = factors(rule, up, d), g = factors(rule, down, d);
      CHECK(f.A * f.C == doctest::Approx(std::sqrt(3.0)));
      CHECK(g.A * g.C == doctest::Approx(1.0));
      const TensorSpec embedding = spec(Role::embedding, 1, width);
      check_same(factors(rule, embedding, d), factors(rule, embedding, dims(width, depth)));
    }
  }
}
