// Goldens in JSON: inputs are sines, which the scripts that made them compute too.
#pragma once
#include "support/golden_json.h"
#include "support/twins.h"

namespace rung::test {

// size sin(step i) + shift for the i-th element.
inline Tensor sines(const std::vector<int64_t>& shape, double step, double size = 1.0,
                    double shift = 0.0) {
  Tensor t = at::empty(shape, at::kDouble);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.mutable_data_ptr<double>()[i] = std::sin(static_cast<double>(i) * step) * size + shift;
  return t;
}

// A list of numbers in the shape of `like`.
inline Tensor golden_tensor(const Json& values, const Tensor& like) {
  REQUIRE(static_cast<int64_t>(values.size()) == like.numel());
  Tensor t = at::empty(like.sizes(), at::kDouble);
  for (size_t i = 0; i < values.size(); ++i)
    t.mutable_data_ptr<double>()[i] = values[i].get<double>();
  return t;
}

}  // namespace rung::test
