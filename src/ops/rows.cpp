#include "ops/rows.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>

#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"

namespace rung {

using at::Tensor;

namespace {

// One member's picked rows, [R, S, D].
Tensor picked(const Tensor& table, const Tensor& index) {
  return table.index_select(0, index.flatten()).view({index.size(0), index.size(1), -1});
}

// gradient[index[r, s]] += factor a[r, s] v[r], one member.
void add_outer(Tensor gradient, const Tensor& index, const Tensor& a, const Tensor& v,
               double factor) {
  const Tensor rows = (a.unsqueeze(-1) * v.unsqueeze(1)).flatten(0, 1) * factor;
  gradient.index_add_(0, index.flatten(), rows.to(gradient.scalar_type()));
}

// Of each member: body(p), with that member's part of t first.
template <class Body>
void each_member(const Tensor& t, Body&& body) {
  for (int64_t p = 0; p < t.size(0); ++p) body(p);
}

cpu::PickShape shape_of(const Tensor& index, int64_t width) {
  return {index.size(1), index.size(2), width};
}

// Pointers of one member's part. Tables lie P strides apart in the arena; rows are contiguous.
const float* read(const Tensor& t, int64_t p) {
  return t.select(0, p).const_data_ptr<float>();
}
float* write(const Tensor& t, int64_t p) {
  return t.select(0, p).mutable_data_ptr<float>();
}

}  // namespace

Tensor picked_dots_plain(const Tensor& x, const Weight& table, const Tensor& index) {
  const Tensor input = x.detach(), value = table.value.detach();
  Tensor a;
  {
    at::NoGradGuard off;
    a = at::empty(index.sizes(), input.options());
    each_member(a, [&](int64_t p) {
      const Tensor rows = picked(value.select(0, p), index.select(0, p));
      a.select(0, p).copy_(at::matmul(rows, input.select(0, p).unsqueeze(-1)).squeeze(-1) *
                           table.A);
    });
  }
  record({a}, {x}, [=](const std::vector<Tensor>& g) {
    Tensor dx = at::empty(input.sizes(), g[0].options());
    each_member(dx, [&](int64_t p) {
      const Tensor da = g[0].select(0, p), of = index.select(0, p);
      const Tensor rows = picked(value.select(0, p), of);
      dx.select(0, p).copy_(at::matmul(da.unsqueeze(1), rows).squeeze(1) * table.A_input);
      if (table.gradient.defined())
        add_outer(table.gradient.select(0, p), of, da, input.select(0, p), table.A_weight);
    });
    return std::vector<Tensor>{dx};
  });
  return a;
}

Tensor picked_sum_plain(const Tensor& w, const Weight& table, const Tensor& index) {
  const Tensor input = w.detach(), value = table.value.detach();
  Tensor y;
  {
    at::NoGradGuard off;
    y = at::empty({w.size(0), w.size(1), value.size(2)}, input.options());
    each_member(y, [&](int64_t p) {
      const Tensor rows = picked(value.select(0, p), index.select(0, p));
      y.select(0, p).copy_(at::matmul(input.select(0, p).unsqueeze(1), rows).squeeze(1) * table.A);
    });
  }
  record({y}, {w}, [=](const std::vector<Tensor>& g) {
    Tensor dw = at::empty(input.sizes(), g[0].options());
    each_member(dw, [&](int64_t p) {
      const Tensor dy = g[0].select(0, p), of = index.select(0, p);
      const Tensor rows = picked(value.select(0, p), of);
      dw.select(0, p).copy_(at::matmul(rows, dy.unsqueeze(-1)).squeeze(-1) * table.A_input);
      if (table.gradient.defined())
        add_outer(table.gradient.select(0, p), of, input.select(0, p), dy, table.A_weight);
    });
    return std::vector<Tensor>{dw};
  });
  return y;
}

Tensor picked_dots(const Tensor& x, const Weight& table, const Tensor& index) {
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && cuda::fits_picks(x, table)) return cuda::picked_dots(x, table, index);
  if (!fused_on_cpu(x)) return picked_dots_plain(x, table, index);
  const Tensor input = x.detach().contiguous(), value = table.value.detach();
  const cpu::PickShape shape = shape_of(index, x.size(2));
  const Tensor of = index.contiguous();
  Tensor a = at::empty(index.sizes(), input.options());
  const auto places = [=](int64_t p) { return of.select(0, p).const_data_ptr<int64_t>(); };
  for (int64_t p = 0; p < x.size(0); ++p)
    cpu::pick_dots(shape, read(value, p), places(p), read(input, p), static_cast<float>(table.A),
                   write(a, p));
  record({a}, {x}, [=](const std::vector<Tensor>& g) {
    const Tensor da = g[0].contiguous();
    Tensor dx = at::empty_like(input);
    for (int64_t p = 0; p < da.size(0); ++p) {
      cpu::pick_sum(shape, read(value, p), places(p), read(da, p),
                    static_cast<float>(table.A_input), write(dx, p));
      if (table.gradient.defined())
        cpu::pick_add(shape, places(p), read(da, p), read(input, p),
                      static_cast<float>(table.A_weight), write(table.gradient, p));
    }
    return std::vector<Tensor>{dx};
  });
  return a;
}

Tensor picked_sum(const Tensor& w, const Weight& table, const Tensor& index) {
  if constexpr (with_cuda)
    if (fused_on_cuda(w) && cuda::fits_picks(w, table)) return cuda::picked_sum(w, table, index);
  if (!fused_on_cpu(w)) return picked_sum_plain(w, table, index);
  const Tensor input = w.detach().contiguous(), value = table.value.detach();
  const cpu::PickShape shape = shape_of(index, value.size(2));
  const Tensor of = index.contiguous();
  Tensor y = at::empty({w.size(0), w.size(1), value.size(2)}, input.options());
  const auto places = [=](int64_t p) { return of.select(0, p).const_data_ptr<int64_t>(); };
  for (int64_t p = 0; p < w.size(0); ++p)
    cpu::pick_sum(shape, read(value, p), places(p), read(input, p), static_cast<float>(table.A),
                  write(y, p));
  record({y}, {w}, [=](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous();
    Tensor dw = at::empty_like(input);
    for (int64_t p = 0; p < dy.size(0); ++p) {
      cpu::pick_dots(shape, read(value, p), places(p), read(dy, p),
                     static_cast<float>(table.A_input), write(dw, p));
      if (table.gradient.defined())
        cpu::pick_add(shape, places(p), read(input, p), read(dy, p),
                      static_cast<float>(table.A_weight), write(table.gradient, p));
    }
    return std::vector<Tensor>{dw};
  });
  return y;
}

}  // namespace rung
