// Data for the goldens of laws: two redistributable sets beside the tests, and derivative checks
// for every law.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "law/formula.h"
#include "law/table.h"
#include "support/source_dir.h"

namespace rung {

inline std::string law_data(const std::string& name) {
  return source_dir() + "/tests/law/data/" + name;
}

// A file of the sets that the project does not ship: below RUNG_LAW_DATA, else beside the source
// tree; empty if absent.
inline std::string shared_law_data(const std::string& name) {
  const char* folder = std::getenv("RUNG_LAW_DATA");
  const std::string path =
      (folder ? std::string(folder) : source_dir() + "/../shared/data/laws") + "/" + name;
  return std::filesystem::exists(path) ? path : "";
}

// The Epoch points without the five highest losses, as the re-analysis drops them (240 rows).
inline const char* const epoch_filter = "loss < 3.44";

// Gradient and Hessian of a law against central differences at one point, relative to their own
// size.
inline void check_derivatives(const Law& law, std::vector<double> c,
                              const std::vector<double>& values) {
  const size_t k = c.size();
  REQUIRE(k == law.coefficients.size());
  std::vector<double> inputs = values;
  for (const double value : values) inputs.push_back(std::log(value));
  const auto jet = [&](int order) {
    std::vector<double> out(jet_size(order, k));
    law.evaluate(law, c.data(), inputs.data(), 1, order, out.data());
    return out;
  };
  const std::vector<double> exact = jet(2);
  CHECK(jet(0)[0] == doctest::Approx(exact[0]).epsilon(1e-14));
  for (size_t i = 0; i < k; ++i) {
    CHECK(jet(1)[1 + i] == doctest::Approx(exact[1 + i]).epsilon(1e-14));
    const double at = c[i], step = 1e-5 * (std::fabs(at) + 1e-3);
    c[i] = at + step;
    const std::vector<double> up = jet(1);
    c[i] = at - step;
    const std::vector<double> down = jet(1);
    c[i] = at;
    CAPTURE(law.coefficients[i].name);
    CHECK((up[0] - down[0]) / (2 * step) == doctest::Approx(exact[1 + i]).epsilon(1e-6));
    for (size_t j = 0; j <= i; ++j) {
      const double difference = (up[1 + j] - down[1 + j]) / (2 * step);
      const double scale = std::fabs(exact[0]) / (std::fabs(c[i]) * std::fabs(c[j]));
      CAPTURE(law.coefficients[j].name);
      CHECK(std::fabs(difference - exact[1 + k + i * (i + 1) / 2 + j]) < 1e-6 * scale);
    }
  }
}

}  // namespace rung
