#ifdef RUNG_CUDA
#include "ops/cuda/gated_norm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// [P, B, T, D] whose rows, which may be slices of wider ones, lie at even distances.
bool has_even_rows(const Tensor& t) {
  const auto evenly = [&](int64_t dim, int64_t stride) {
    return t.size(dim) == 1 || t.stride(dim) == stride;
  };
  const int64_t row = t.stride(2);
  return t.stride(3) == 1 && row % 8 == 0 && row >= t.size(3) && evenly(1, t.size(2) * row) &&
         evenly(0, t.size(1) * t.size(2) * row) &&
         reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
}

}  // namespace

bool fits_gated_norm(const Tensor& x, const Tensor& gate, int64_t groups) {
  const int64_t width = x.size(3) / groups;
  return gate.scalar_type() == x.scalar_type() && width % 8 == 0 && width <= widest_gated_norm;
}

Tensor gated_norm(const Tensor& x, const Tensor& gate, int64_t groups, const NormOptions& options,
                  GatePlace place) {
  Tensor input, factor, y;
  GatedNorm shape{};
  {
    at::NoGradGuard off;
    input = x.detach().contiguous();
    factor = gate.detach();
    if (!has_even_rows(factor)) factor = factor.contiguous();
    shape = {x.size(0) * x.size(1) * x.size(2),
             groups,
             x.size(3) / groups,
             factor.stride(2),
             static_cast<float>(options.epsilon),
             options.center,
             place == GatePlace::before};
    y = at::empty_like(input);
    gated_norm_forward(type_of(input), shape, data(input), data(factor), writable(y), stream());
  }
  record({y}, {x, gate}, [=](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous();
    Tensor dx = at::empty_like(input), dgate = at::empty(input.sizes(), input.options());
    gated_norm_backward(type_of(input), shape, data(input), data(factor), data(dy), writable(dx),
                        writable(dgate), stream());
    return std::vector<Tensor>{dx, dgate};
  });
  return y;
}

}  // namespace rung::cuda
#endif
