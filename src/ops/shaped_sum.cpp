#include "ops/shaped_sum.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/span.h"
#include "ops/wide.h"

namespace rung {

using at::Tensor;

namespace {

// The mean of v [P, B, T, H, d] and what came before it, up to each position.
Tensor causal_mean(const Tensor& v, const Tensor& before) {
  const int64_t past = before.defined() ? before.size(2) : 0, time = v.size(2);
  Tensor sums = wide(v).cumsum(2);
  if (past > 0) sums = sums + wide(before).sum(2, true);
  const Tensor counts = at::arange(past + 1, past + time + 1, sums.options());
  return (sums / counts.view({1, 1, time, 1, 1})).to(v.scalar_type());
}

}  // namespace

Tensor shaped_sum_plain(const Tensor& v, const Tensor& mixed, const ShapedGains& gains,
                        const Tensor& before) {
  const int64_t heads = gains.alpha.value.size(1);
  const auto by_head = [&](const Tensor& t) {
    return t.view({t.size(0), t.size(1), t.size(2), heads, t.size(3) / heads});
  };
  const auto gain = [&](const Weight& w) {
    return multiplied(w).view({v.size(0), 1, 1, heads, 1});
  };
  const Tensor mean = causal_mean(by_head(v), before);
  return (by_head(v) * gain(gains.alpha) + by_head(mixed) * gain(gains.beta) -
          mean * gain(gains.gamma))
      .flatten(-2);
}

Tensor shaped_gains(const ShapedGains& gains) {
  const auto scaled = [](const Weight& w) {
    return w.A == 1.0 ? w.value.detach() : w.value.detach() * w.A;
  };
  return wide(at::stack({scaled(gains.alpha), scaled(gains.beta), scaled(gains.gamma)}, 1));
}

void add_shaped_gains(const ShapedGains& gains, const Tensor& sums) {
  int64_t place = 0;
  for (const Weight* w : {&gains.alpha, &gains.beta, &gains.gamma}) {
    const Tensor sum = sums.select(1, place++);
    if (w->gradient.defined()) w->gradient.add_(sum, w->A_weight);
  }
}

namespace {

Tensor shaped_sum_cpu(const Tensor& v, const Tensor& mixed, const ShapedGains& gains) {
  Tensor values, mixture, factors, y;
  cpu::ShapedSumShape shape{};
  {
    at::NoGradGuard off;
    values = v.detach().contiguous();
    mixture = mixed.detach().contiguous();
    factors = shaped_gains(gains);
    shape = {v.size(2), factors.size(2), v.size(3) / factors.size(2)};
    y = at::empty_like(values);
  }
  const int64_t batch = v.size(1), sequences = v.size(0) * batch, size = v.size(2) * v.size(3);
  const auto gains_of = [=](const Tensor& t, int64_t sequence) {
    return t.mutable_data_ptr<float>() + sequence / batch * 3 * shape.heads;
  };
  const auto at = [=](const Tensor& t, int64_t sequence) {
    return t.mutable_data_ptr<float>() + sequence * size;
  };
  const auto scratch = [=] { return at::empty({shape.heads, shape.size}, values.options()); };
  const Tensor row = scratch();
  for (int64_t i = 0; i < sequences; ++i)
    cpu::shaped_sum_forward(shape, at(values, i), at(mixture, i), gains_of(factors, i), at(y, i),
                            row.mutable_data_ptr<float>());
  record(
      {y}, {v, mixed},
      [=](const std::vector<Tensor>& g) {
        const Tensor dy = g[0].contiguous();
        Tensor dv = at::empty_like(values), dmixed = at::empty_like(mixture),
               sums = at::zeros(factors.sizes(), factors.options()), row = scratch();
        for (int64_t i = 0; i < sequences; ++i)
          cpu::shaped_sum_backward(shape, at(values, i), at(mixture, i), gains_of(factors, i),
                                   at(dy, i), at(dv, i), at(dmixed, i), gains_of(sums, i),
                                   row.mutable_data_ptr<float>());
        add_shaped_gains(gains, sums);
        return std::vector<Tensor>{dv, dmixed};
      },
      true);
  return y;
}

}  // namespace

Tensor shaped_sum(const Tensor& v, const Tensor& mixed, const ShapedGains& gains,
                  const Tensor& before) {
  const Span span("rung::attention");
  if (before.defined()) return shaped_sum_plain(v, mixed, gains, before);
  if constexpr (with_cuda)
    if (fused_on_cuda(v) && cuda::fits_shaped_sum(v, mixed, gains))
      return cuda::shaped_sum(v, mixed, gains);
  return fused_on_cpu(v) ? shaped_sum_cpu(v, mixed, gains) : shaped_sum_plain(v, mixed, gains);
}

}  // namespace rung
