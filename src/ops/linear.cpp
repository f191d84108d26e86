#include "ops/linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "ops/cuda/beside.h"
#include "ops/cuda/blank.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/product.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/quantised_linear.h"
#include "ops/span.h"
#include "ops/ternary.h"

namespace rung {

using at::Tensor;

void matmul_into(const Tensor& out, const Tensor& a, const Tensor& b, double alpha,
                 bool accumulate) {
  if constexpr (with_cuda)
    if (out.is_cuda() && cuda::fits_product(out, a, b))
      return cuda::product(out, a, b, alpha, accumulate);
  const double beta = accumulate ? 1.0 : 0.0;
  const bool widen = out.scalar_type() != a.scalar_type();
  Tensor target = out;
  if (a.size(0) == 1) {
    target = out.select(0, 0);
    const Tensor a0 = a.select(0, 0), b0 = b.select(0, 0);
    if (!widen)
      at::addmm_out(target, target, a0, b0, beta, alpha);
    else if (out.is_cuda())
      at::addmm_out(target, target, a0, b0, out.scalar_type(), beta, alpha);
    else
      at::addmm_out(target, target, a0.to(out.scalar_type()), b0.to(out.scalar_type()), beta,
                    alpha);
    return;
  }
  if (!widen)
    at::baddbmm_out(target, target, a, b, beta, alpha);
  else if (out.is_cuda())
    at::baddbmm_out(target, target, a, b, out.scalar_type(), beta, alpha);
  else
    at::baddbmm_out(target, target, a.to(out.scalar_type()), b.to(out.scalar_type()), beta, alpha);
}

bool writes_over(const Tensor& gradient) {
  if constexpr (with_cuda)
    if (gradient.is_cuda()) return cuda::writes_over(gradient);
  return false;
}

void add_weight_gradient(const Weight& weight, const Tensor& dy, const Tensor& x, double factor) {
  if (!weight.gradient.defined()) return;
  const bool adds = !writes_over(weight.gradient);
  const Tensor turned = dy.transpose(1, 2);
  const auto product = [&] {
    if constexpr (with_cuda)
      // In bf16 by our own call at any size: ATen's lets the library add parts of a sum in bf16.
      if (weight.gradient.is_cuda() && weight.gradient.scalar_type() == at::kBFloat16 &&
          cuda::fits_library(weight.gradient, turned, x))
        return cuda::product(weight.gradient, turned, x, weight.A_weight * factor, adds);
    matmul_into(weight.gradient, turned, x, weight.A_weight * factor, adds);
  };
  if constexpr (with_cuda)
    if (x.is_cuda()) {
      cuda::beside({dy, x}, weight.gradient, product);
      return;
    }
  product();
}

Tensor linear(const Tensor& x, const Weight& weight) {
  const Span span("rung::linear");
  if (weight.ternary) return ternary_linear(x, weight);
  if (weight.formats) return quantised_linear(x, weight);
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2);
  const int64_t in = weight.value.size(2), out = weight.value.size(1);
  const Tensor value = weight.value.detach();
  const Tensor input = x.detach().view({members, rows, in});
  Tensor y;
  {
    at::NoGradGuard off;
    y = at::empty({members, x.size(1), x.size(2), out}, x.options().requires_grad(false));
    matmul_into(y.view({members, rows, out}), input, value.transpose(1, 2), weight.A, false);
  }
  const size_t use = open_tap(weight, x, y);
  record({y}, {x}, [=, w = weight, needs_input = x.requires_grad()](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous().view({members, rows, out});
    add_weight_gradient(w, dy, input);
    Tensor dx;
    if (needs_input) {
      dx = at::empty(x.sizes(), dy.options());
      matmul_into(dx.view({members, rows, in}), dy, value, w.A_input, false);
    }
    close_tap(w, use, dy, dx);
    return std::vector<Tensor>{dx};
  });
  return y;
}

std::vector<Tensor> linears(const Tensor& x, const std::vector<Weight>& weights) {
  const Span span("rung::linear");
  std::vector<Tensor> outputs;
  if (!std::all_of(weights.begin(), weights.end(), [](const Weight& w) { return w.is_plain(); })) {
    for (const Weight& w : weights) outputs.push_back(linear(x, w));
    return outputs;
  }
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2), in = x.size(3);
  const Tensor input = x.detach().view({members, rows, in});
  {
    at::NoGradGuard off;
    for (const Weight& w : weights) {
      const int64_t out = w.value.size(1);
      outputs.push_back(
          at::empty({members, x.size(1), x.size(2), out}, x.options().requires_grad(false)));
      matmul_into(outputs.back().view({members, rows, out}), input,
                  w.value.detach().transpose(1, 2), w.A, false);
    }
  }
  record(
      outputs, {x},
      [=, needs_input = x.requires_grad(), sizes = x.sizes().vec()](const std::vector<Tensor>& g) {
        Tensor dx;
        for (size_t i = 0; i < g.size(); ++i) {
          if (!g[i].defined()) continue;
          const Weight& w = weights[i];
          const Tensor dy = g[i].contiguous().view({members, rows, w.value.size(1)});
          add_weight_gradient(w, dy, input);
          if (!needs_input) continue;
          const bool more = dx.defined();
          if (!more) dx = at::empty(sizes, dy.options());
          matmul_into(dx.view({members, rows, in}), dy, w.value.detach(), w.A_input, more);
        }
        return std::vector<Tensor>{dx};
      });
  return outputs;
}

namespace {

// Whether `next` [P, rows, in] begins where `t` ends.
bool follows(const Tensor& t, const Tensor& next) {
  return next.size(2) == t.size(2) && next.stride(0) == t.stride(0) && t.stride(2) == 1 &&
         next.stride(2) == 1 && t.stride(1) == t.size(2) && next.stride(1) == t.size(2) &&
         next.storage().is_alias_of(t.storage()) &&
         next.storage_offset() == t.storage_offset() + t.size(1) * t.size(2);
}

Tensor stack_of(const Tensor& first, int64_t rows) {
  return first.as_strided({first.size(0), rows, first.size(2)}, first.strides());
}

}  // namespace

std::optional<Weight> stacked(std::span<const Weight> weights) {
  Weight all = weights[0];
  int64_t rows = all.value.size(1);
  for (size_t i = 0; i < weights.size(); ++i) {
    const Weight& w = weights[i];
    if (!w.is_plain() || w.A != all.A || w.A_input != all.A_input || w.A_weight != all.A_weight ||
        w.gradient.defined() != all.gradient.defined())
      return std::nullopt;
    if (i == 0) continue;
    if (!follows(weights[i - 1].value, w.value)) return std::nullopt;
    if (w.gradient.defined() && !follows(weights[i - 1].gradient, w.gradient)) return std::nullopt;
    rows += w.value.size(1);
  }
  all.value = stack_of(all.value, rows);
  if (all.gradient.defined()) all.gradient = stack_of(all.gradient, rows);
  return all;
}

Weight cut_rows(const Weight& weight, int64_t begin, int64_t count) {
  Weight part = weight;
  part.value = weight.value.narrow(1, begin, count);
  if (weight.gradient.defined()) part.gradient = weight.gradient.narrow(1, begin, count);
  return part;
}

Tensor add_bias(const Tensor& y, const Weight& bias) {
  return y + multiplied(bias).view({y.size(0), 1, 1, y.size(3)});
}

Tensor embedding(const Tensor& tokens, const Weight& table) {
  const Span span("rung::embedding");
  if constexpr (with_cuda)
    if (!table.taps && fused_on_cuda(table.value) && cuda::fits_embedding(table))
      return cuda::embedding(tokens, table);
  const int64_t members = tokens.size(0), rows = tokens.size(1) * tokens.size(2);
  const int64_t vocabulary = table.value.size(1), width = table.value.size(2);
  Tensor y, index;
  {
    at::NoGradGuard off;
    const Tensor offset = at::arange(members, tokens.options()).mul_(vocabulary).view({members, 1});
    index = tokens.view({members, rows}).add(offset).view({-1});
    y = table.value.detach().reshape({members * vocabulary, width}).index_select(0, index);
    if (table.A != 1.0) y.mul_(table.A);
    y = y.view({members, tokens.size(1), tokens.size(2), width});
  }
  const size_t use = open_tap(table, {}, y);
  record(
      {y}, {},
      [=, w = table](const std::vector<Tensor>& g) {
        if (!w.gradient.defined() || !g[0].defined()) return std::vector<Tensor>{};
        close_tap(w, use, g[0], {});
        Tensor rows_gradient = g[0].reshape({members * rows, width}).to(w.gradient.scalar_type());
        if (w.A_weight != 1.0) rows_gradient = rows_gradient * w.A_weight;
        // The arena's rows lie P strides apart, so each member adds to its own table.
        for (int64_t p = 0; p < members; ++p)
          w.gradient.select(0, p).index_add_(0, tokens.view({members, rows}).select(0, p),
                                             rows_gradient.narrow(0, p * rows, rows));
        return std::vector<Tensor>{};
      },
      true);
  return y;
}

}  // namespace rung
