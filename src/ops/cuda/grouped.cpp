#ifdef RUNG_CUDA
#include "ops/grouped.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_grouped_mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>

#include <algorithm>

#include "ops/cuda/device.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/group_rows.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Elements from each tensor to the next, or 0 where they do not lie evenly (or there is one).
template <class Part>
int64_t step_of(std::span<const Weight> weights, Part&& part) {
  int64_t step = 0;
  for (size_t i = 1; i < weights.size(); ++i) {
    const Tensor &before = part(weights[i - 1]), &here = part(weights[i]);
    const int64_t bytes = static_cast<const std::byte*>(here.const_data_ptr()) -
                          static_cast<const std::byte*>(before.const_data_ptr());
    const int64_t own = bytes / static_cast<int64_t>(here.element_size());
    if (i > 1 && own != step) return 0;
    step = own;
  }
  return step;
}

const Tensor& value_of(const Weight& w) {
  return w.value;
}
const Tensor& gradient_of(const Weight& w) {
  return w.gradient;
}

// Wide maps in bf16 go through the library's grouped product on Hopper (wgmma), a member at a time;
// our own kernel takes all members of narrow ones in one launch. The matrices' gradients come out
// of it in bf16, once a call, before they are added in fp32.
constexpr int64_t library_from = 256;

bool by_library(const Tensor& x, const Weight& w) {
  return x.scalar_type() == at::kBFloat16 && is_hopper() && w.value.size(1) % 8 == 0 &&
         w.value.size(2) % 8 == 0 && std::min(w.value.size(1), w.value.size(2)) >= library_from;
}

// All groups' matrices of member p, [groups, out, in].
Tensor all_of(const Tensor& first, int64_t p, int64_t groups, int64_t step) {
  const Tensor own = first.select(0, p);
  return own.as_strided({groups, own.size(0), own.size(1)}, {step, own.size(1), 1});
}

// With the library, on plain tensors.
struct LibraryMaps {
  Weight first;
  int64_t groups, value_step, gradient_step;
  Tensor ends;  // [P, groups + 1]

  Tensor ends_of(int64_t p) const { return ends.select(0, p).narrow(0, 1, groups); }
  Tensor values(int64_t p) const { return all_of(first.value.detach(), p, groups, value_step); }

  // rows [P, S, ..] times each group's matrix, transposed where `along` says so.
  Tensor product(const Tensor& rows, bool along, double factor) const {
    std::vector<Tensor> y;
    for (int64_t p = 0; p < rows.size(0); ++p) {
      const Tensor w = values(p);
      y.push_back(at::_grouped_mm(rows.select(0, p), along ? w.mT() : w, ends_of(p)));
      if (factor != 1.0) y.back().mul_(factor);
    }
    return y.size() == 1 ? y[0].unsqueeze(0) : at::stack(y);
  }

  void add_gradient(const Tensor& x, const Tensor& dy) const {
    for (int64_t p = 0; p < x.size(0); ++p)
      all_of(first.gradient, p, groups, gradient_step)
          .add_(at::_grouped_mm(dy.select(0, p).t(), x.select(0, p), ends_of(p)), first.A_weight);
  }
};

Tensor grouped_by_library(const Tensor& x, const LibraryMaps& maps) {
  Tensor input, y;
  {
    at::NoGradGuard off;
    input = x.detach().contiguous();
    y = maps.product(input, true, maps.first.A);
  }
  record({y}, {x}, [=, needs = x.requires_grad()](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous();
    if (maps.first.gradient.defined()) maps.add_gradient(input, dy);
    return std::vector<Tensor>{needs ? maps.product(dy, false, maps.first.A_input) : Tensor()};
  });
  return y;
}

}  // namespace

bool fits_grouped(const Tensor& x, std::span<const Weight> weights) {
  if (!(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16)) return false;
  if (weights.size() == 1) return true;
  for (const Weight& w : weights)
    if (w.A != weights[0].A || w.A_input != weights[0].A_input ||
        w.A_weight != weights[0].A_weight || w.gradient.defined() != weights[0].gradient.defined())
      return false;
  if (weights[0].gradient.defined() && step_of(weights, gradient_of) == 0) return false;
  return step_of(weights, value_of) != 0;
}

Tensor grouped_linear(const Tensor& x, std::span<const Weight> weights, const Groups& groups) {
  const Weight first = weights[0];
  if (weights.size() > 1 && by_library(x, first))
    return grouped_by_library(
        x, {first, static_cast<int64_t>(weights.size()), step_of(weights, value_of),
            first.gradient.defined() ? step_of(weights, gradient_of) : 0, groups.ends});
  const GroupedShape shape{x.size(0),
                           x.size(1),
                           static_cast<int64_t>(weights.size()),
                           first.value.size(2),
                           first.value.size(1),
                           step_of(weights, value_of),
                           first.value.stride(0)};
  GroupedShape to = shape;
  if (first.gradient.defined()) {
    to.group_stride = step_of(weights, gradient_of);
    to.member_stride = first.gradient.stride(0);
  }
  const Tensor ends = groups.ends;
  Tensor input, y;
  {
    at::NoGradGuard off;
    input = x.detach().contiguous();
    y = at::empty({shape.members, shape.rows, shape.out}, input.options());
    grouped_forward(type_of(input), shape, ends.const_data_ptr<int>(), data(input),
                    data(first.value), static_cast<float>(first.A), writable(y), stream());
  }
  record({y}, {x}, [=, needs = x.requires_grad()](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous();
    if (first.gradient.defined())
      grouped_weight_gradient(type_of(dy), to, ends.const_data_ptr<int>(), data(input), data(dy),
                              static_cast<float>(first.A_weight), floats(first.gradient), stream());
    if (!needs) return std::vector<Tensor>{Tensor()};
    Tensor dx = at::empty_like(input);
    grouped_input_gradient(type_of(dy), shape, ends.const_data_ptr<int>(), data(dy),
                           data(first.value), static_cast<float>(first.A_input), writable(dx),
                           stream());
    return std::vector<Tensor>{dx};
  });
  return y;
}

bool fits_group_rows(const Tensor& y) {
  return y.size(2) % 8 == 0;
}

Tensor gathered_groups(const Tensor& y, const Tensor& inverse, const Tensor& weights, int64_t k) {
  const GroupRows shape{y.size(0), y.size(1) / k, k, y.size(2)};
  Tensor x = at::empty({shape.members, shape.rows, shape.width}, y.options());
  gather_group_rows(type_of(y), shape, inverse.const_data_ptr<int64_t>(), data(y), floats(weights),
                    writable(x), stream());
  return x;
}

std::pair<Tensor, Tensor> spread_groups(const Tensor& y, const Tensor& inverse,
                                        const Tensor& weights, const Tensor& dx) {
  const GroupRows shape{y.size(0), dx.size(1), weights.size(2), y.size(2)};
  Tensor dy = at::empty_like(y), dweights = at::empty_like(weights);
  spread_group_rows(type_of(y), shape, inverse.const_data_ptr<int64_t>(), data(y), floats(weights),
                    data(dx), writable(dy), floats(dweights), stream());
  return {dy, dweights};
}

}  // namespace rung::cuda
#endif
