#include "ops/packed_linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "ops/custom.h"
#include "ops/linear.h"

namespace rung {

using at::Tensor;

Tensor packed_linears_plain(const Tensor& x, const std::vector<Weight>& weights,
                            const Tensor& tail) {
  std::vector<Tensor> parts = linears(x, weights);
  parts.push_back(tail);
  return at::cat(parts, -1);
}

Tensor packed_linears(const Tensor& x, const std::vector<Weight>& weights, const Tensor& tail) {
  return x.is_cuda() ? packed_linears_written(x, weights, tail)
                     : packed_linears_plain(x, weights, tail);
}

Tensor packed_linears_written(const Tensor& x, std::vector<Weight> weights, const Tensor& tail) {
  if (!std::all_of(weights.begin(), weights.end(), [](const Weight& w) { return w.is_plain(); }))
    return packed_linears_plain(x, weights, tail);
  if (const auto one = stacked(weights)) weights = {*one};
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2), in = x.size(3);
  int64_t mapped = 0;
  for (const Weight& w : weights) mapped += w.value.size(1);
  const int64_t rest = tail.size(3), width = mapped + rest;
  const Tensor input = x.detach().contiguous().view({members, rows, in});
  Tensor y;
  {
    at::NoGradGuard off;
    y = at::empty({members, x.size(1), x.size(2), width}, x.options().requires_grad(false));
    const Tensor packed = y.view({members, rows, width});
    int64_t place = 0;
    for (const Weight& w : weights) {
      const int64_t out = w.value.size(1);
      matmul_into(packed.narrow(2, place, out), input, w.value.detach().transpose(1, 2), w.A,
                  false);
      place += out;
    }
    y.narrow(3, mapped, rest).copy_(tail.detach());
  }
  record({y}, {x, tail}, [=, needs_input = x.requires_grad()](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous(), packed = dy.view({members, rows, width});
    Tensor dx;
    int64_t place = 0;
    for (const Weight& w : weights) {
      const int64_t out = w.value.size(1);
      const Tensor own = packed.narrow(2, place, out);
      place += out;
      add_weight_gradient(w, own, input);
      if (!needs_input) continue;
      const bool more = dx.defined();
      if (!more) dx = at::empty({members, dy.size(1), dy.size(2), in}, dy.options());
      matmul_into(dx.view({members, rows, in}), own, w.value.detach(), w.A_input, more);
    }
    return std::vector<Tensor>{dx, dy.narrow(3, mapped, rest)};
  });
  return y;
}

}  // namespace rung
