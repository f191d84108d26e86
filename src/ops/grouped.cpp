#include "ops/grouped.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sort.h>

#include "core/error.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

namespace {

// Rows of each member, x [P, R, D], at its own places [P, S].
Tensor select_rows(const Tensor& x, const Tensor& places) {
  if (x.is_cuda()) {  // one launch for all members
    const Tensor offset = at::arange(x.size(0), places.options()).mul_(x.size(1)).unsqueeze(1);
    return x.reshape({-1, x.size(2)})
        .index_select(0, (places + offset).flatten())
        .view({x.size(0), places.size(1), x.size(2)});
  }
  Tensor y = at::empty({x.size(0), places.size(1), x.size(2)}, x.options().requires_grad(false));
  for (int64_t p = 0; p < x.size(0); ++p) {
    Tensor out = y.select(0, p);
    at::index_select_out(out, x.select(0, p), 0, places.select(0, p));
  }
  return y;
}

// x [P, S, D] in another order, `places`, of which `inverse` is the inverse.
Tensor permuted(const Tensor& x, const Tensor& places, const Tensor& inverse) {
  Tensor y;
  {
    at::NoGradGuard off;
    y = select_rows(x.detach(), places);
  }
  record({y}, {x}, [=](const std::vector<Tensor>& g) {
    return std::vector<Tensor>{select_rows(g[0], inverse)};
  });
  return y;
}

// Calls body(p, g, begin, count) for every group that holds rows.
template <class Body>
void each_group(const Groups& groups, Body&& body) {
  for (size_t p = 0; p < groups.counts.size(); ++p) {
    int64_t begin = 0;
    for (size_t g = 0; g < groups.counts[p].size(); ++g) {
      const int64_t count = groups.counts[p][g];
      if (count > 0) body(static_cast<int64_t>(p), g, begin, count);
      begin += count;
    }
  }
}

// The rows [1, count, D] of one group of one member.
Tensor block(const Tensor& x, int64_t p, int64_t begin, int64_t count) {
  return x.narrow(0, p, 1).narrow(1, begin, count);
}

}  // namespace

Groups sort_by_group(const Tensor& group, int64_t groups) {
  at::NoGradGuard off;
  const Tensor flat = group.reshape({group.size(0), -1});
  Groups result;
  if (flat.is_cuda()) {
    // A radix sort: fewer bits are fewer passes.
    const auto narrow = groups <= 32767 ? at::kShort : at::kInt;
    const auto [sorted, order] = at::sort(flat.to(narrow), std::optional<bool>(true), 1, false);
    const Tensor places = at::arange(flat.size(1), flat.options()).expand_as(flat);
    const Tensor bounds = at::arange(groups + 1, sorted.options()).expand({flat.size(0), -1});
    result.order = order;
    result.inverse = at::empty_like(order).scatter_(1, order, places);
    result.ends = at::searchsorted(sorted.contiguous(), bounds.contiguous(), true);
    return result;
  }
  result.order = at::argsort(flat, true, 1);
  result.inverse = at::argsort(result.order, true, 1);
  for (int64_t p = 0; p < flat.size(0); ++p) {
    const Tensor counts = at::bincount(flat.select(0, p), {}, groups).to(at::kCPU).contiguous();
    const int64_t* first = counts.const_data_ptr<int64_t>();
    result.counts.emplace_back(first, first + groups);
  }
  return result;
}

Tensor group_sizes(const Groups& groups, const Tensor& like) {
  if (groups.ends.defined()) return groups.ends.diff().to(like.scalar_type());
  const auto members = static_cast<int64_t>(groups.counts.size());
  const auto count = static_cast<int64_t>(groups.counts.front().size());
  Tensor sizes = at::empty({members, count}, at::kDouble);
  double* at = sizes.mutable_data_ptr<double>();
  for (const auto& member : groups.counts)
    for (const int64_t rows : member) *at++ = static_cast<double>(rows);
  return sizes.to(like.scalar_type());
}

Tensor to_groups(const Tensor& x, const Groups& groups) {
  const int64_t k = groups.order.size(1) / x.size(1);
  Tensor y;
  {
    at::NoGradGuard off;
    y = select_rows(x.detach(), groups.order.floor_divide(k));
  }
  record({y}, {x}, [=, inverse = groups.inverse](const std::vector<Tensor>& g) {
    if constexpr (with_cuda)
      if (fused_on_cuda(g[0]) && cuda::fits_group_rows(g[0]))
        return std::vector<Tensor>{cuda::gathered_groups(g[0].contiguous(), inverse, {}, k)};
    const Tensor copies = select_rows(g[0], inverse);
    return std::vector<Tensor>{
        copies.view({copies.size(0), copies.size(1) / k, k, copies.size(2)}).sum(2)};
  });
  return y;
}

Tensor to_groups_plain(const Tensor& x, const Groups& groups) {
  const int64_t k = groups.order.size(1) / x.size(1);
  const Tensor index = groups.order.floor_divide(k).unsqueeze(-1).expand({-1, -1, x.size(2)});
  return x.gather(1, index);
}

Tensor from_groups(const Tensor& y, const Groups& groups, int64_t k) {
  return permuted(y, groups.inverse, groups.order).view({y.size(0), y.size(1) / k, k, y.size(2)});
}

Tensor mixed_groups_plain(const Tensor& y, const Groups& groups, const Tensor& weights) {
  const Tensor each = from_groups(y, groups, weights.size(2));
  return (each * weights.to(y.scalar_type()).unsqueeze(-1)).sum(2);
}

Tensor mixed_groups(const Tensor& y, const Groups& groups, const Tensor& weights) {
  if constexpr (with_cuda)
    if (fused_on_cuda(y) && cuda::fits_group_rows(y)) {
      const int64_t k = weights.size(2);
      Tensor rows, factors, x;
      {
        at::NoGradGuard off;
        rows = y.detach().contiguous();
        factors = weights.detach().to(at::kFloat).contiguous();
        x = cuda::gathered_groups(rows, groups.inverse, factors, k);
      }
      record({x}, {y, weights},
             [=, inverse = groups.inverse, type = weights.scalar_type()](const auto& g) {
               auto [dy, dweights] = cuda::spread_groups(rows, inverse, factors, g[0].contiguous());
               return std::vector<Tensor>{dy, dweights.to(type)};
             });
      return x;
    }
  return mixed_groups_plain(y, groups, weights);
}

Tensor grouped_linear(const Tensor& x, std::span<const Weight> weights, const Groups& groups) {
  const Span span("rung::linear");
  if (groups.ends.defined()) {
    if constexpr (with_cuda)
      if (cuda::fits_grouped(x, weights)) return cuda::grouped_linear(x, weights, groups);
    fail("[moe] On a GPU experts are alike and lie evenly in memory. Received {} that do not.",
         weights.size());
  }
  const std::vector<Weight> maps(weights.begin(), weights.end());
  const Tensor input = x.detach().contiguous();
  const int64_t out = maps.front().value.size(1);
  Tensor y;
  {
    at::NoGradGuard off;
    y = at::empty({x.size(0), x.size(1), out}, input.options());
    each_group(groups, [&](int64_t p, size_t g, int64_t begin, int64_t count) {
      const Tensor w = maps[g].value.detach().narrow(0, p, 1);
      matmul_into(block(y, p, begin, count), block(input, p, begin, count), w.mT(), maps[g].A,
                  false);
    });
  }
  record({y}, {x}, [=, needs = x.requires_grad()](const std::vector<Tensor>& gradients) {
    const Tensor dy = gradients[0].contiguous();
    Tensor dx = needs ? at::empty(input.sizes(), dy.options()) : Tensor();
    each_group(groups, [&](int64_t p, size_t g, int64_t begin, int64_t count) {
      const Weight& w = maps[g];
      const Tensor part = block(dy, p, begin, count);
      if (w.gradient.defined())
        matmul_into(w.gradient.narrow(0, p, 1), part.mT(), block(input, p, begin, count),
                    w.A_weight, true);
      if (needs)
        matmul_into(block(dx, p, begin, count), part, w.value.detach().narrow(0, p, 1), w.A_input,
                    false);
    });
    return std::vector<Tensor>{dx};
  });
  return y;
}

Tensor grouped_linear_plain(const Tensor& x, std::span<const Weight> weights,
                            const Groups& groups) {
  std::vector<Tensor> maps, members(groups.counts.size());
  for (const Weight& w : weights) maps.push_back(scale_gradient(leaf(w), w.A_weight / w.A));
  const double back = weights.front().A_input / weights.front().A;
  each_group(groups, [&](int64_t p, size_t g, int64_t begin, int64_t count) {
    const Tensor part =
        at::matmul(scale_gradient(block(x, p, begin, count), back), maps[g].narrow(0, p, 1).mT()) *
        weights[g].A;
    Tensor& all = members[static_cast<size_t>(p)];
    all = all.defined() ? at::cat({all, part}, 1) : part;
  });
  return at::cat(members, 0);
}

Tensor with_loss(const Tensor& x, const Tensor& loss, double factor) {
  Tensor y = x.detach();
  record({y}, {x, loss}, [=, sizes = loss.detach()](const std::vector<Tensor>& g) {
    return std::vector<Tensor>{g[0], at::full_like(sizes, factor)};
  });
  return y;
}

}  // namespace rung
