#include "ops/conv.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>

#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

namespace {

// The inputs before the first, [P, B, k - 1, C].
Tensor earlier(const Tensor& x, const Weight& filter, const Tensor& past) {
  if (past.defined()) return past;
  return at::zeros({x.size(0), x.size(1), filter.value.size(2) - 1, x.size(3)}, x.options());
}

}  // namespace

Conv causal_conv_silu_plain(const Tensor& x, const Weight& filter, const Weight& bias,
                            const Tensor& past) {
  const int64_t members = x.size(0), time = x.size(2), channels = x.size(3);
  const int64_t before = filter.value.size(2) - 1;
  const Tensor all = at::cat({earlier(x, filter, past), x}, 2);
  const Tensor taps = multiplied(filter);
  Tensor y = multiplied(bias).view({members, 1, 1, channels});
  for (int64_t j = 0; j <= before; ++j)
    y = y + all.narrow(2, j, time) * taps.select(2, j).view({members, 1, 1, channels});
  return {at::silu(y), all.narrow(2, time, before)};
}

namespace {

// Contiguous inputs of the kernel; filter [P, k, C], with its multiplier.
struct Inputs {
  Tensor x, past, filter, bias;
  cpu::ConvShape shape;

  cpu::ConvArrays of(int64_t member, int64_t row) const {
    const int64_t at = member * x.size(1) + row, channels = shape.channels;
    const auto floats = [](const Tensor& t) { return t.const_data_ptr<float>(); };
    return {floats(x) + at * shape.time * channels, floats(past) + at * (shape.size - 1) * channels,
            floats(filter) + member * shape.size * channels, floats(bias) + member * channels};
  }
};

Tensor backward_cpu(const Inputs& in, const Weight& filter, const Weight& bias, const Tensor& dy) {
  const Tensor dx = at::empty_like(in.x);
  const Tensor dfilter = at::zeros(in.filter.sizes(), in.filter.options()),
               dbias = at::zeros(in.bias.sizes(), in.bias.options());
  const int64_t batch = in.x.size(1), size = in.shape.time * in.shape.channels;
  for (int64_t p = 0; p < in.x.size(0); ++p)
    for (int64_t b = 0; b < batch; ++b)
      cpu::conv_silu_backward(in.shape, in.of(p, b),
                              dy.const_data_ptr<float>() + (p * batch + b) * size,
                              dx.mutable_data_ptr<float>() + (p * batch + b) * size,
                              dfilter.select(0, p).mutable_data_ptr<float>(),
                              dbias.select(0, p).mutable_data_ptr<float>());
  if (filter.gradient.defined()) filter.gradient.add_(dfilter.transpose(1, 2), filter.A_weight);
  if (bias.gradient.defined()) bias.gradient.add_(dbias, bias.A_weight);
  return dx;
}

}  // namespace

Conv causal_conv_silu(const Tensor& x, const Weight& filter, const Weight& bias,
                      const Tensor& past) {
  const Span span("rung::convolution");
  const Tensor before = earlier(x, filter, past);
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && !past.defined() && x.size(2) >= before.size(2) &&
        cuda::fits_conv(x, filter))
      return {cuda::conv_silu(x, filter, bias),
              x.detach().narrow(2, x.size(2) - before.size(2), before.size(2))};
  // The kernel gives no gradient to the past, which no training pass has.
  if (!fused_on_cpu(x) || (recording() && before.requires_grad()))
    return causal_conv_silu_plain(x, filter, bias, past);
  const int64_t kept = before.size(2), time = x.size(2);
  Conv result;
  result.past =
      time >= kept ? x.narrow(2, time - kept, kept) : at::cat({before, x}, 2).narrow(2, time, kept);
  Inputs in;
  {
    at::NoGradGuard off;
    in = {x.detach().contiguous(),
          before.contiguous(),
          (filter.value.detach() * filter.A).transpose(1, 2).contiguous(),
          bias.value.detach() * bias.A,
          {time, x.size(3), kept + 1}};
    result.y = at::empty_like(in.x);
    for (int64_t p = 0; p < x.size(0); ++p)
      for (int64_t b = 0; b < x.size(1); ++b)
        cpu::conv_silu_forward(in.shape, in.of(p, b),
                               result.y.mutable_data_ptr<float>() +
                                   (p * x.size(1) + b) * in.shape.time * in.shape.channels);
  }
  record(
      {result.y}, {x},
      [=](const std::vector<Tensor>& g) {
        return std::vector<Tensor>{backward_cpu(in, filter, bias, g[0].contiguous())};
      },
      true);
  return result;
}

}  // namespace rung
