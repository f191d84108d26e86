#include "../specs.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("supar: hidden B (fan_in rho)^-1/2 and LR 1 / (m rho), all else muP") {
  for (const double rho : {1.0, 0.5, 0.25, 1.0 / 16, 1.0 / 64})
    for (const int64_t width : {64, 128, 256, 1024, 4096}) {
      const double w = static_cast<double>(width), m = w / 64.0;
      Dims d = dims(width);
      d.density = rho;
      check(factors("supar", spec(Role::hidden, width, width, 0), d), 1, 1 / std::sqrt(w * rho),
            1 / (m * rho), 1 / m);
      for (const TensorSpec& other :
           {spec(Role::embedding, 1, width), spec(Role::readout, width, 256),
            spec(Role::gain, 1, width, 0)})
        check_same(factors("supar", other, d), factors("mup", other, d));
    }
}

TEST_CASE("sparse matrices under another rule are refused by name") {
  RunConfig config;
  config.parametrisation = "supar";
  config.model.density = 0.25;
  CHECK_NOTHROW(refuse_unmet(config));
  config.parametrisation = "mup";
  CHECK(error_of([&] { refuse_unmet(config); }).find("Only supar") != std::string::npos);
}
