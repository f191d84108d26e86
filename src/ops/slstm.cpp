#include "ops/slstm.h"

#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/unbind.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "ops/cuda/fused.h"
#include "ops/dispatch.h"
#include "ops/span.h"
#include "ops/wide.h"

namespace rung {

using at::Tensor;

namespace {

// Of a cell that has seen nothing: whatever the first step's input is, it is the largest.
SlstmState fresh(const Tensor& x) {
  const std::vector<int64_t> shape{x.size(0), x.size(1), x.size(3), x.size(5)};
  const Tensor zero = at::zeros(shape, x.options());
  return {zero, zero, zero, at::full(shape, -std::numeric_limits<double>::infinity(), x.options())};
}

// Heads before sequences, as the products by head want them, and back.
SlstmState transposed(const SlstmState& s) {
  return {s.y.transpose(1, 2), s.c.transpose(1, 2), s.n.transpose(1, 2), s.m.transpose(1, 2)};
}

}  // namespace

// m is a constant to the gradient: nothing that leaves the cell depends on it.
std::pair<Tensor, SlstmState> slstm_plain(const Tensor& x, const Tensor& recurrent,
                                          const SlstmState& first) {
  const int64_t members = x.size(0), batch = x.size(1), heads = x.size(3), size = x.size(5);
  const Tensor maps = recurrent.view({members, heads, 4 * size, size}).mT();
  // [P, H, B, 4 d] of each step.
  const auto steps = at::unbind(x.reshape({members, batch, x.size(2), heads, 4 * size})
                                    .permute({2, 0, 3, 1, 4})
                                    .contiguous());
  SlstmState s = transposed(first.y.defined() ? first : fresh(x));
  std::vector<Tensor> y;
  for (const Tensor& step : steps) {
    const Tensor slots = step + at::matmul(s.y, maps);
    const auto slot = at::unbind(slots.view({members, heads, batch, 4, size}), 3);
    const Tensor kept = at::log_sigmoid(slot[1]) + s.m;
    s.m = at::maximum(kept, slot[0]).detach();
    const Tensor f = at::exp(kept - s.m), i = at::exp(slot[0] - s.m);
    s.c = f * s.c + i * at::tanh(slot[2]);
    s.n = f * s.n + i;
    s.y = at::sigmoid(slot[3]) * s.c / s.n;
    y.push_back(s.y);
  }
  return {at::stack(y, 2).permute({0, 3, 2, 1, 4}), transposed(s)};
}

std::pair<Tensor, SlstmState> slstm(const Tensor& x, const Tensor& recurrent,
                                    const SlstmState& first) {
  const Span span("rung::recurrence");
  if constexpr (with_cuda)
    if (fused_on_cuda(x)) {
      if (!first.y.defined() && cuda::fits_slstm(x)) return cuda::slstm(x, recurrent);
      const auto [y, last] = slstm_plain(wide(x), wide(recurrent), first);
      return {y.to(x.scalar_type()), last};
    }
  return slstm_plain(x, recurrent, first);
}

}  // namespace rung
