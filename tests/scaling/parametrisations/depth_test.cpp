#include "../specs.h"

using namespace rung;
using namespace rung::test;

namespace {
constexpr std::pair<int64_t, int64_t> shapes[] = {
    {64, 4}, {128, 8}, {256, 2}, {1024, 64}, {64, 32}};
}

TEST_CASE("depth-mup: branches and LR of blocks m_L^-1/2, epsilon of blocks m^-1 m_L^-1/2") {
  for (const auto& [width, depth] : shapes) {
    const double w = static_cast<double>(width), m = w / 64.0;
    const double deep = static_cast<double>(depth) / 4.0, r = std::sqrt(deep);
    const Dims d = dims(width, depth);
    check(factors("depth-mup", spec(Role::hidden, width, width, 1), d), 1, 1 / std::sqrt(w),
          1 / (m * r), 1 / (m * r));
    check(factors("depth-mup", spec(Role::gain, 1, width, 1), d), 1, 0, 1 / r, 1 / (m * r));
    check(factors("depth-mup", spec(Role::gain, 1, width), d), 1, 0, 1, 1 / m);
    check(factors("depth-mup", spec(Role::embedding, 1, width), d), 1, 1, 1, 1 / m);
    check(factors("depth-mup", spec(Role::readout, width, 256), d), 1 / m, 0.125, 1, 1 / m);
    // Adam's m_L^-1/2 is in SGD's gradient already.
    CHECK(factors("depth-mup", spec(Role::hidden, width, width, 1), dims(width, depth, "sgd")).C ==
          doctest::Approx(1.0));
    RunConfig config;
    config.model.width = width;
    config.model.depth = depth;
    const BlockFactors b = block("depth-mup", config);
    CHECK(b.residual.size() == static_cast<size_t>(2 * depth));
    CHECK(b.residual.back().branch == doctest::Approx(1 / r));
    CHECK(b.residual.back().skip == 1.0);
  }
}

TEST_CASE("completep: branches / m_L, LR without depth, epsilon of blocks m^-1 m_L^-1") {
  for (const auto& [width, depth] : shapes) {
    const double w = static_cast<double>(width), m = w / 64.0,
                 deep = static_cast<double>(depth) / 4.0;
    const Dims d = dims(width, depth);
    check(factors("completep", spec(Role::hidden, width, width, 1), d), 1, 1 / std::sqrt(w), 1 / m,
          1 / (m * deep));
    check(factors("completep", spec(Role::gain, 1, width, 1), d), 1, 0, 1, 1 / (m * deep));
    check(factors("completep", spec(Role::readout, width, 256), d), 1 / m, 0.125, 1, 1 / m);
    CHECK(factors("completep", spec(Role::hidden, width, width, 1), dims(width, depth, "sgd")).C ==
          doctest::Approx(deep));
    RunConfig config;
    config.model.depth = depth;
    CHECK(block("completep", config).residual[0].branch == doctest::Approx(1 / deep));
  }
  CHECK(error_of([] {
          factors("completep", spec(Role::gain, 1, 64), dims(64), "none");
        }).find("full alone") != std::string::npos);
}
