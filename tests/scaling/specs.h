// Tensors and dimensions that the tests of parametrisations share. Base shape: width 64, depth 4.
#pragma once
#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "scaling/parametrisation.h"
#include "temporary.h"

namespace rung::test {

inline TensorSpec spec(Role role, int64_t in, int64_t out, int layer = -1) {
  TensorSpec tensor;
  tensor.name = role_name(role);
  tensor.role = role;
  tensor.fan_in = in;
  tensor.fan_out = out;
  tensor.layer = layer;
  tensor.shape = role == Role::gain || role == Role::bias ? std::vector<int64_t>{out}
                                                          : std::vector<int64_t>{out, in};
  return tensor;
}

inline Dims dims(int64_t width, int64_t depth = 4, const char* optimizer = "adamw") {
  RunConfig config;
  config.model.width = width;
  config.model.depth = depth;
  config.train.optimizer = optimizer;
  return dims_of(config, 256);
}

inline Factors factors(std::string_view name, const TensorSpec& tensor, const Dims& d,
                       std::string_view align = "") {
  return complete_factors(find_parametrisation(name), tensor, d, align);
}

inline BlockFactors block(std::string_view name, RunConfig config) {
  config.parametrisation = name;
  return find_parametrisation(name).block(config, dims_of(config, 256));
}

inline void check(const Factors& f, double A, double B, double C, double epsilon = 1.0) {
  CHECK(f.A == doctest::Approx(A));
  CHECK(f.B == doctest::Approx(B));
  CHECK(f.C == doctest::Approx(C));
  CHECK(f.epsilon == doctest::Approx(epsilon));
  CHECK(f.decay == 1.0);
}

inline void check_same(const Factors& a, const Factors& b) {
  CHECK(a.A == doctest::Approx(b.A));
  CHECK(a.A_input == doctest::Approx(b.A_input));
  CHECK(a.A_weight == doctest::Approx(b.A_weight));
  CHECK(a.B == doctest::Approx(b.B));
  CHECK(a.C == doctest::Approx(b.C));
  CHECK(a.decay == doctest::Approx(b.decay));
  CHECK(a.epsilon == doctest::Approx(b.epsilon));
}

}  // namespace rung::test
