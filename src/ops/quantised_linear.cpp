#include "ops/quantised_linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/linear.h"
#include "ops/quantise.h"

namespace rung {

using at::Tensor;

namespace {

// A factor of the products, [P, R, C], rounded along either axis.
struct Factor {
  Quantiser format;
  uint64_t key = 0;
  Tensor value = {};
  Tensor both = {};

  // Whether one rounding serves both axes.
  bool shared() const {
    return !format.on || format.over == ScaleOver::fixed || format.over == ScaleOver::tensor;
  }
  // Keeps the rounded factor in place of the given one where that is all that will be asked for.
  Tensor along_rows() {
    if (both.defined()) return both;
    const Tensor rounded = quantise(value, format, key);
    if (shared()) both = rounded, value = Tensor();
    return rounded;
  }
  Tensor along_columns() {
    if (shared()) return along_rows();
    return quantise(value.transpose(1, 2).contiguous(), format, key).transpose(1, 2);
  }
};

// What a weight's codes stand for.
Tensor decoded(const Weight& w) {
  return (w.codes.to(at::kFloat) / w.formats->weight.scale).to(w.value.scalar_type());
}

}  // namespace

Tensor quantised_linear(const Tensor& x, const Weight& weight) {
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && cuda::fits_fp8(x, weight)) return cuda::fp8_linear(x, weight);
  const MapFormats& f = *weight.formats;
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2);
  const int64_t in = weight.value.size(2), out = weight.value.size(1);
  Factor input{f.activation, f.key ^ 1, x.detach().view({members, rows, in})};
  // What codes stand for lies on the grid that it is rounded to again.
  Factor map{f.weight, f.key ^ 2, weight.codes.defined() ? decoded(weight) : weight.value.detach()};
  Tensor y;
  {
    const at::NoGradGuard off;
    y = at::empty({members, x.size(1), x.size(2), out}, x.options().requires_grad(false));
    matmul_into(y.view({members, rows, out}), input.along_rows(), map.along_rows().transpose(1, 2),
                weight.A, false);
  }
  const size_t use = open_tap(weight, x, y);
  record({y}, {x},
         [=, w = weight, sizes = x.sizes().vec(),
          needs_input = x.requires_grad()](const std::vector<Tensor>& g) {
           const Tensor dy = g[0].contiguous();
           Factor upstream{w.formats->gradient, w.formats->key ^ 3, dy.view({members, rows, out})};
           Factor read = input, by = map;
           Tensor dx;
           if (needs_input) {
             dx = at::empty(sizes, dy.options());
             matmul_into(dx.view({members, rows, in}), upstream.along_rows(), by.along_columns(),
                         w.A_input, false);
           }
           if (w.gradient.defined())
             matmul_into(w.gradient, upstream.along_columns().transpose(1, 2), read.along_columns(),
                         w.A_weight, !writes_over(w.gradient));
           close_tap(w, use, dy, dx);
           return std::vector<Tensor>{dx};
         });
  return y;
}

}  // namespace rung
