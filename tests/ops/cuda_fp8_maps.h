// Maps in FP8 on the GPU, for tests of what the units compute.
#pragma once
#include <ATen/ops/ones_like.h>

#include <initializer_list>
#include <string>

#include "ops/weight.h"
#include "support/no_gpu.h"
#include "support/twins.h"

namespace rung::test {

inline Tensor gpu_bf16(std::initializer_list<int64_t> sizes, uint64_t seed) {
  return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
}

// An op's output and gradients.
struct Fp8Result {
  Tensor y, dx, dw;
};

// Of a map in FP8, its gradient to be added to ones.
inline Weight fp8_weight(const Tensor& value, double A, double A_weight,
                         const std::string& gradient, bool hardware) {
  Weight w{.value = value,
           .gradient = at::ones_like(value, value.options().dtype(at::kFloat)),
           .A = A,
           .A_input = 2.0 * A,
           .A_weight = A_weight};
  w.formats = std::make_shared<const MapFormats>(
      MapFormats{.weight = parse_quantiser("e4m3", "test"),
                 .activation = parse_quantiser("e4m3 scale=2", "test"),
                 .gradient = parse_quantiser(gradient, "test"),
                 .hardware = hardware});
  return w;
}

}  // namespace rung::test
