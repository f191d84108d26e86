#ifdef RUNG_CUDA
#include <ATen/ops/empty.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

bool is_gated(Activation kind) {
  return kind == Activation::swiglu || kind == Activation::geglu;
}

}  // namespace

bool fits_activation(Activation kind, const Tensor& x) {
  return kind != Activation::reglu2 && x.size(-1) % (is_gated(kind) ? 16 : 8) == 0;
}

Tensor activation(Activation kind, const Tensor& x, const ActivationOptions& o) {
  const Curve curve = curve_of(kind);
  const int64_t width = x.size(-1) / (is_gated(kind) ? 2 : 1), rows = x.numel() / x.size(-1);
  const Tensor input = x.detach().contiguous();
  auto sizes = x.sizes().vec();
  sizes.back() = width;
  Tensor y = at::empty(sizes, input.options());
  const float slope = static_cast<float>(o.slope);
  activation_forward(type_of(input), curve, rows, width, data(input), slope,
                     static_cast<float>(o.forward), writable(y), stream());
  record({y}, {x}, [=](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous();
    const Tensor dx = o.in_place ? input : at::empty_like(input);
    activation_backward(type_of(input), curve, rows, width, data(input), data(dy), slope,
                        static_cast<float>(o.backward), writable(dx), stream());
    return std::vector<Tensor>{dx};
  });
  return y;
}

}  // namespace rung::cuda
#endif
