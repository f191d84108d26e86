#include "../specs.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("mus: unit weights, static multipliers, hidden LR sqrt(base_width / width)") {
  for (const int64_t width : {64, 128, 256, 1024, 8192}) {
    const double w = static_cast<double>(width);
    const Dims d = dims(width);
    check(factors("mus", spec(Role::embedding, 1, width), d), 1, 1, 1);
    check(factors("mus", spec(Role::hidden, 3 * width, width, 0), d), 1 / std::sqrt(3 * w), 1,
          std::sqrt(64 / w));
    check(factors("mus", spec(Role::readout, width, 256), d), 1 / w, 1, 1);
    check(factors("mus", spec(Role::gain, 1, width), d), 1, 0, 1);
    check(factors("mus", spec(Role::tied, width, 256), d), 1 / w, 1, 1);
  }
  CHECK(error_of([] {
          factors("mus", spec(Role::hidden, 64, 64), dims(64, 4, "sgd"));
        }).find("fixed size") != std::string::npos);
}

TEST_CASE("mus' residual sum keeps variance 1, and pre-norm blocks are refused by name") {
  RunConfig config;
  config.parametrisation = "mus";
  for (const double tau : {0.1, 0.4, 0.9}) {
    config.multipliers.tau = tau;
    const BlockFactors b = block("mus", config);
    CHECK(b.residual.size() == 8);
    for (const ResidualFactor& r : b.residual) {
      CHECK(r.branch == doctest::Approx(std::sqrt(tau)));
      CHECK(r.skip * r.skip + r.branch * r.branch == doctest::Approx(1.0));
    }
  }
  try {
    refuse_unmet(config);
    FAIL("mus was not refused");
  } catch (const Error& error) {
    CHECK(error.kind == Failure::refused);
    CHECK(std::string(error.what()).find("model.norm_place=after") != std::string::npos);
  }
  config.model.norm_place = "after";
  CHECK_NOTHROW(refuse_unmet(config));
}
