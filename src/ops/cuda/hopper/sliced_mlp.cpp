#ifdef RUNG_CUDA
#include "ops/cuda/hopper/sliced_mlp.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/hopper/few_rows.h"
#include "ops/cuda/hopper/next_map.h"
#include "ops/cuda/mlp_shape.h"
#include "ops/cuda/narrow.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Gradients of x and of f (undefined: there is none), of which h is made, f by the step's map if it
// has one.
std::pair<Tensor, Tensor> gradients_of_sliced(const Tensor& h, const Tensor& f,
                                              const StepBack& back, const Mlp& m,
                                              const ResidualStep& step) {
  const double skip = f.defined() ? step.norm.skip : 1.0,
               branch = f.defined() ? step.norm.branch_gradient : 1.0;
  const bool mapped = f.defined() && step.map.value.defined();
  const MlpShape shape = mlp_shape_of(h, m);
  const int64_t first_width = m.first.value.size(1);
  const auto rows = [&](bool wanted, int64_t width) {
    return wanted ? at::empty({shape.members, shape.rows, width}, h.options()) : Tensor();
  };
  const bool has_first = m.first.gradient.defined(), has_second = m.second.gradient.defined(),
             has_next = back.mapped.defined();
  const Tensor dout = has_next ? at::empty_like(h) : back.dout;
  const Tensor next_unit = rows(has_next && step.next.gradient.defined(), shape.width);
  const NextMapGradient next =
      has_next ? next_gradient_of(back, step, dout, next_unit) : NextMapGradient{};
  const Tensor dx = at::empty_like(h), df = skip == branch ? dx : at::empty_like(h);
  const Tensor dmapped = mapped ? at::empty_like(h) : Tensor();
  const Tensor unit = rows(has_first, shape.width), units = rows(has_first, first_width),
               hidden = rows(has_second, shape.inner);
  const MlpAroundGradient around{.epsilon = static_cast<float>(step.norm.epsilon),
                                 .input_gradient = static_cast<float>(step.norm.input_gradient),
                                 .out_skip = static_cast<float>(step.skip),
                                 .skip = static_cast<float>(skip),
                                 .branch = static_cast<float>(branch),
                                 .df = skip == branch ? nullptr : writable(df),
                                 .map = mapped ? data(step.map.value) : nullptr,
                                 .map_stride = mapped ? step.map.value.stride(0) : 0,
                                 .map_factor = static_cast<float>(step.map.A_input),
                                 .dmapped = writable(dmapped)};
  sliced_mlp_backward(shape,
                      {.h = data(h),
                       .first = data(m.first.value),
                       .second = data(m.second.value),
                       .dout = has_next ? nullptr : data(dout),
                       .first_factor = static_cast<float>(m.first.A),
                       .activation = static_cast<float>(m.activation.forward),
                       .dhidden = static_cast<float>(m.second.A_input * m.activation.backward *
                                                     step.branch_gradient),
                       .dinput = static_cast<float>(m.first.A_input),
                       .block = &around,
                       .dx = writable(dx),
                       .unit = writable(unit),
                       .units = writable(units),
                       .hidden = writable(hidden),
                       .next = has_next ? &next : nullptr},
                      stream());
  std::vector<WeightGradient> gradients{
      {m.first, units, unit},
      {m.second, dout.view({shape.members, shape.rows, shape.width}), hidden,
       step.branch_gradient}};
  if (mapped) gradients.push_back({step.map, df.flatten(1, 2), f.flatten(1, 2)});
  if (has_next && step.next.value.defined())
    gradients.push_back({step.next, back.mapped.flatten(1, 2), next_unit});
  add_weight_gradients(gradients);
  return {dx, mapped ? dmapped : f.defined() ? df : Tensor()};
}

// Whether the forward kernel makes the next norm, and multiplies by its map, as well.
bool takes_next(const Tensor& out, const MlpShape& shape, const ResidualStep& step) {
  if (step.next_norm.center) return false;
  if (step.next_alone) return sliced_mlp_takes_next(shape, 0);
  return step.next.value.defined() && fits_norm_linear(out, step.next) &&
         sliced_mlp_takes_next(shape, step.next.value.size(1));
}

}  // namespace

bool fits_sliced_mlp(const Tensor& x, const Mlp& m) {
  return m.kind != Activation::reglu2 && fits_narrow(x, m.first) && fits_narrow(x, m.second) &&
         is_hopper() && fits_sliced_mlp(x.size(3), m.second.value.size(2));
}

Stepped sliced_mlp_step(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  const Tensor input = x.detach().contiguous();
  const Tensor branch = f.defined() ? f.detach().contiguous() : Tensor();
  Tensor out = at::empty_like(input);
  const Tensor h = f.defined() ? at::empty_like(input) : input;
  const MlpShape shape = mlp_shape_of(input, m);
  const bool taken = takes_next(out, shape, step);
  Tensor mapped;
  if (taken)
    mapped = at::empty(
        {x.size(0), x.size(1), x.size(2), step.next_alone ? x.size(3) : step.next.value.size(1)},
        input.options());
  const NextMap next = taken ? next_map_of(step, mapped) : NextMap{};
  const MlpAround around{.epsilon = static_cast<float>(step.norm.epsilon),
                         .f = data(branch),
                         .map = f.defined() ? data(step.map.value) : nullptr,
                         .map_stride = member_stride(step.map),
                         .map_factor = static_cast<float>(step.map.A),
                         .skip = static_cast<float>(step.norm.skip),
                         .branch = static_cast<float>(step.norm.branch),
                         .h = f.defined() ? writable(h) : nullptr,
                         .out_skip = static_cast<float>(step.skip),
                         .next = taken ? &next : nullptr};
  sliced_mlp_forward(shape,
                     {.x = data(input),
                      .first = data(m.first.value),
                      .second = data(m.second.value),
                      .first_factor = static_cast<float>(m.first.A),
                      .activation = static_cast<float>(m.activation.forward),
                      .second_factor = static_cast<float>(m.second.A * step.branch),
                      .out = writable(out),
                      .block = &around},
                     stream());
  std::vector<Tensor> outputs{out};
  if (taken) outputs.push_back(mapped);
  record(outputs, {x, f}, [=, stream = out.detach()](const std::vector<Tensor>& g) {
    const auto packed = [](const Tensor& t) { return t.defined() ? t.contiguous() : Tensor(); };
    const StepBack back{stream, packed(g[0]), taken ? packed(g[1]) : Tensor()};
    const auto [dx, df] = gradients_of_sliced(h, branch, back, m, step);
    return std::vector<Tensor>{dx, df};
  });
  return {out, mapped};
}

}  // namespace rung::cuda
#endif
