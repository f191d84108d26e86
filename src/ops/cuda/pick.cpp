#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sort.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"
#include "ops/rows.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// `stride` between members' tables.
PickShape shape_of(const Tensor& index, const Tensor& table) {
  return {index.size(0), index.size(1), index.size(2), table.size(2), table.stride(0)};
}

// gradient[index] += factor w x. The sort's passes are as many as its keys are wide.
void add_picks(const Tensor& index, const Weight& table, const Tensor& w, const Tensor& x) {
  if (!table.gradient.defined()) return;
  const at::ScalarType narrow = table.value.size(1) <= 32768 ? at::kShort : at::kInt;
  const auto [sorted, order] =
      at::sort(index.flatten(1).to(narrow), std::optional<bool>(true), -1, false);
  const Tensor entries = sorted.to(at::kLong).contiguous(), places = order.contiguous();
  pick_add(type_of(x), shape_of(index, table.gradient), entries.const_data_ptr<int64_t>(),
           places.const_data_ptr<int64_t>(), data(w), data(x), static_cast<float>(table.A_weight),
           floats(table.gradient), stream());
}

void dots(const Tensor& index, const Tensor& table, const Tensor& x, double factor, Tensor& a) {
  pick_dots(type_of(x), shape_of(index, table), data(table), index.const_data_ptr<int64_t>(),
            data(x), static_cast<float>(factor), writable(a), stream());
}

void sums(const Tensor& index, const Tensor& table, const Tensor& w, double factor, Tensor& y) {
  pick_sum(type_of(w), shape_of(index, table), data(table), index.const_data_ptr<int64_t>(),
           data(w), static_cast<float>(factor), writable(y), stream());
}

}  // namespace

bool fits_picks(const Tensor& x, const Weight& table) {
  constexpr int64_t widest = 8192;  // a row in shared memory
  const int64_t width = table.value.size(2);
  return width % 8 == 0 && width <= widest && table.value.scalar_type() == x.scalar_type();
}

Tensor picked_dots(const Tensor& x, const Weight& table, const Tensor& index) {
  const Tensor value = table.value.detach(), of = index.contiguous();
  Tensor input, a;
  {
    at::NoGradGuard off;
    input = x.detach().contiguous();
    a = at::empty(of.sizes(), input.options());
    dots(of, value, input, table.A, a);
  }
  record({a}, {x}, [=](const std::vector<Tensor>& g) {
    const Tensor da = g[0].contiguous();
    Tensor dx = at::empty_like(input);
    sums(of, value, da, table.A_input, dx);
    add_picks(of, table, da, input);
    return std::vector<Tensor>{dx};
  });
  return a;
}

Tensor picked_sum(const Tensor& w, const Weight& table, const Tensor& index) {
  const Tensor value = table.value.detach(), of = index.contiguous();
  Tensor input, y;
  {
    at::NoGradGuard off;
    input = w.detach().contiguous();
    y = at::empty({w.size(0), w.size(1), value.size(2)}, input.options());
    sums(of, value, input, table.A, y);
  }
  record({y}, {w}, [=](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous();
    Tensor dw = at::empty_like(input);
    dots(of, value, dy, table.A_input, dw);
    add_picks(of, table, input, dy);
    return std::vector<Tensor>{dw};
  });
  return y;
}

Tensor gathered(const Tensor& x, const Tensor& index) {
  Tensor y;
  const Tensor of = index.contiguous();
  {
    at::NoGradGuard off;
    y = x.detach().gather(-1, of);
  }
  record({y}, {x}, [=, sizes = x.sizes().vec()](const std::vector<Tensor>& g) {
    const Tensor d = g[0].contiguous();
    Tensor dx = at::empty(sizes, d.options());
    spread_sums(d.numel() / of.size(-1), sizes.back(), of.size(-1), of.const_data_ptr<int64_t>(),
                floats(d), floats(dx), stream());
    return std::vector<Tensor>{dx};
  });
  return y;
}

}  // namespace rung::cuda
#endif
