// The residual stream's step through an ffn on FP8 units. Maps add to the stream themselves
// (product.h), and norms and their backward passes write what the next products read: of a branch
// and of its gradient there are codes alone.
#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>

#include "ops/cuda/fp8_hidden.h"
#include "ops/cuda/fp8_stream.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// What the backward pass reads: the sum in bf16, the others' codes by columns.
struct Fp8Step {
  Mlp m;
  ResidualStep step;
  bool mapped = false;  // f is still to be multiplied by step.map
  Tensor h, rstd, f, map;
  Fp8MlpSaved branch;
};

// From the sum h to the stream behind the branch.
Tensor through_branch(Fp8Step& s, bool both) {
  const Weight &first = s.m.first, &second = s.m.second;
  const MapFormats &f1 = *first.formats, &f2 = *second.formats;
  const NormedCodes input = fp8_norm(s.h, s.step.norm, f1.activation, both);
  const Fp8Codes w1 = fp8_codes_of(first, both);
  s.branch.hidden =
      fp8_product(input.codes.rows, w1.rows, first.A / fp8_scale(f1.activation, f1.weight), true);
  const Fp8Codes inner = fp8_activated(s.branch.hidden, s.m, second.value.size(2), both),
                 w2 = fp8_codes_of(second, both);
  const Tensor out =
      fp8_product_onto(s.h, s.step.skip, inner.rows, w2.rows,
                       s.step.branch * second.A / fp8_scale(f2.activation, f2.weight));
  s.rstd = input.rstd;
  s.branch.input = input.codes.columns;
  s.branch.first = w1.columns;
  s.branch.inner = inner.columns;
  s.branch.second = w2.columns;
  return out;
}

// Gradients of x and, where it was mapped, of f.
std::pair<Tensor, Tensor> fp8_step_gradients(const Fp8Step& s, const Tensor& dout) {
  const Tensor dy = fp8_mlp_gradient(s.m, s.branch, dout, s.step.branch_gradient, true);
  const NormOptions& o = s.step.norm;
  const Weight& map = s.step.map;
  const Fp8Norm norm{.h = s.h,
                     .rstd = s.rstd,
                     .options = o,
                     .dh_factor = s.step.skip,
                     .skip = s.mapped ? o.skip : 1.0};
  if (!s.mapped) return {fp8_norm_gradient(norm, dy, dout), Tensor()};
  const MapFormats& f = *map.formats;
  const auto [dx, up] = fp8_norm_gradient(norm, dy, dout, o.branch_gradient, f.gradient);
  if (map.gradient.defined())
    fp8_add(map.gradient, up.columns, s.f, map.A_weight / fp8_scale(f.gradient, f.activation));
  return {dx, fp8_product(up.rows, s.map, map.A_input / fp8_scale(f.gradient, f.weight), false)};
}

}  // namespace

bool fits_fp8_map(const Tensor& f, const Weight& map) {
  return !map.taps && !map.ternary && fits_fp8(f, map);
}

bool fits_fp8_step(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  if (step.norm.center || !fits_norm(x, {}) || !fits_fp8_mlp(x, m)) return false;
  return !f.defined() || (step.map.value.defined() && fits_fp8_map(f, step.map));
}

Tensor fp8_mlp_step(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  const bool both = recording();  // the backward pass reads the others
  Fp8Step s{.m = m, .step = step, .mapped = f.defined()};
  Tensor out;
  {
    const at::NoGradGuard off;
    const Tensor stream = x.detach().contiguous().flatten(1, 2);
    if (s.mapped) {
      const MapFormats& formats = *step.map.formats;
      const Fp8Codes read = fp8_cast(f.detach().contiguous().flatten(1, 2), formats.activation,
                                     false, both),
                     map = fp8_codes_of(step.map, both);
      s.h = fp8_product_onto(
          stream, step.norm.skip, read.rows, map.rows,
          step.norm.branch * step.map.A / fp8_scale(formats.activation, formats.weight));
      s.f = read.columns;
      s.map = map.columns;
    } else {
      s.h = stream;
    }
    out = through_branch(s, both).view(x.sizes());
  }
  const auto backward = [s, sizes = x.sizes().vec(),
                         of_f = f.defined() ? f.sizes().vec() : std::vector<int64_t>()](
                            const std::vector<Tensor>& g) {
    const auto [dx, df] = fp8_step_gradients(s, g[0].contiguous().flatten(1, 2));
    std::vector<Tensor> gradients{dx.view(sizes)};
    if (s.mapped) gradients.push_back(df.view(of_f));
    return gradients;
  };
  record({out}, s.mapped ? std::vector{x, f} : std::vector{x}, backward);
  return out;
}

}  // namespace rung::cuda
#endif
