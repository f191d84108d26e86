#ifdef RUNG_CUDA
#include "ops/cuda/hopper/few_rows.h"

#include <ATen/ops/empty.h>

#include "ops/cuda/beside.h"
#include "ops/cuda/blank.h"
#include "ops/cuda/device.h"
#include "ops/cuda/hopper/many_rows.h"
#include "ops/cuda/tensor.h"
#include "ops/linear.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Whether our own kernel reads and writes it.
bool fits_row_sum(const WeightGradient& g) {
  const auto rows = [](const Tensor& t) {
    return t.scalar_type() == at::kBFloat16 && t.is_contiguous() &&
           reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
  };
  const Tensor& to = g.weight.gradient;
  return to.scalar_type() == at::kFloat && is_packed(to) && rows(g.dy) && rows(g.x);
}

}  // namespace

void add_weight_gradients(const std::vector<WeightGradient>& gradients) {
  RowSums sums{.members = 0, .rows = 0, .sums = {}};
  bool together = is_hopper();
  std::vector<Tensor> read;
  for (const WeightGradient& g : gradients) {
    const Tensor& to = g.weight.gradient;
    if (!to.defined()) continue;
    together = together && sums.count < most_row_sums && fits_row_sum(g) &&
               (sums.count == 0 || (g.dy.size(0) == sums.members && g.dy.size(1) == sums.rows));
    if (!together) break;
    sums.members = g.dy.size(0), sums.rows = g.dy.size(1);
    sums.sums[sums.count++] = {.dy = data(g.dy),
                               .x = data(g.x),
                               .out = g.dy.size(2),
                               .in = g.x.size(2),
                               .gradient = floats(to),
                               .member_stride = to.stride(0),
                               .factor = static_cast<float>(g.weight.A_weight * g.factor),
                               .adds = true};
    read.insert(read.end(), {g.dy, g.x});
  }
  const bool few = together && sums.count > 0 && fits_row_sums(sums),
             many = together && !few && fits_many_row_sums(sums);
  if (!few && !many) {
    for (const WeightGradient& g : gradients) add_weight_gradient(g.weight, g.dy, g.x, g.factor);
    return;
  }
  int count = 0;
  Tensor written;
  for (const WeightGradient& g : gradients)
    if (g.weight.gradient.defined()) {
      written = g.weight.gradient;
      sums.sums[count++].adds = !writes_over(written);
    }
  beside(std::move(read), written, [&] {
    if (few) return add_row_sums(sums, stream());
    const Tensor space = at::empty({many_row_sums_space(sums)}, written.options());
    add_many_row_sums(sums, floats(space), stream());
  });
}

}  // namespace rung::cuda
#endif
