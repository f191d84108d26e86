#include "ops/activation.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>

#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/norm.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

Tensor activation_plain(Activation kind, const Tensor& x, const ActivationOptions& o) {
  const Tensor input = scale_gradient(x, o.backward / o.forward);
  const int64_t half = x.size(-1) / 2;
  auto gelu = [&](const Tensor& g) { return at::gelu(g * o.slope, "tanh") / o.slope; };
  switch (kind) {
    case Activation::swiglu: {
      const Tensor gate = input.narrow(-1, 0, half);
      const Tensor gated = gate * at::sigmoid(gate * o.slope);
      return gated * input.narrow(-1, half, half) * o.forward;
    }
    case Activation::geglu: {
      const Tensor gated = gelu(input.narrow(-1, 0, half));
      return gated * input.narrow(-1, half, half) * o.forward;
    }
    case Activation::reglu2: {
      const Tensor positive = at::relu(input.narrow(-1, 0, half));
      return positive * positive * input.narrow(-1, half, half) * o.forward;
    }
    case Activation::gelu:
      return gelu(input) * o.forward;
    case Activation::relu2: {
      const Tensor positive = at::relu(input);
      return positive * positive * o.forward;
    }
  }
  return {};
}

Tensor activation(Activation kind, const Tensor& x, const ActivationOptions& o) {
  const Span span("rung::activation");
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && cuda::fits_activation(kind, x)) return cuda::activation(kind, x, o);
  if (kind != Activation::swiglu || !fused_on_cpu(x)) return activation_plain(kind, x, o);
  const int64_t width = x.size(-1) / 2, rows = x.numel() / x.size(-1);
  const Tensor input = x.detach().contiguous();
  auto sizes = x.sizes().vec();
  sizes.back() = width;
  Tensor y = at::empty(sizes, input.options());
  const float slope = static_cast<float>(o.slope);
  cpu::swiglu_forward(rows, width, input.const_data_ptr<float>(), slope,
                      static_cast<float>(o.forward), y.mutable_data_ptr<float>());
  record({y}, {x}, [=](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous();
    Tensor dx = at::empty_like(input);
    cpu::swiglu_backward(rows, width, input.const_data_ptr<float>(), dy.const_data_ptr<float>(),
                         slope, static_cast<float>(o.backward), dx.mutable_data_ptr<float>());
    return std::vector<Tensor>{dx};
  });
  return y;
}

}  // namespace rung
