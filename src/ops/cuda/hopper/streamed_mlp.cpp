#ifdef RUNG_CUDA
#include "ops/cuda/hopper/streamed_mlp.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/hopper/few_rows.h"
#include "ops/cuda/hopper/next_map.h"
#include "ops/cuda/hopper/streamed_rows.h"
#include "ops/cuda/mlp_shape.h"
#include "ops/cuda/narrow.h"
#include "ops/cuda/normed_sum.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Gradients of x and of f, of which h is made by way of the step's map (f undefined: h is x); the
// matrices' are summed.
std::pair<Tensor, Tensor> gradients_of_streamed(const Tensor& h, const Tensor& f,
                                                const StepBack& back, const Mlp& m,
                                                const ResidualStep& step, bool wanted) {
  const MlpShape shape = mlp_shape_of(h, m);
  const auto rows = [&](const Weight& weight, int64_t width) {
    return weight.gradient.defined() ? at::empty({shape.members, shape.rows, width}, h.options())
                                     : Tensor();
  };
  const bool mapped = f.defined(), has_next = back.mapped.defined();
  const double skip = mapped ? step.norm.skip : 1.0;
  const double factor = step.norm.branch_gradient / skip;  // from dx to the map's gradient
  const Tensor dx = at::empty_like(h), dmapped = mapped && wanted ? at::empty_like(h) : Tensor(),
               dout = has_next ? at::empty_like(h) : back.dout;
  const Tensor unit = rows(m.first, shape.width), units = rows(m.first, m.first.value.size(1)),
               hidden = rows(m.second, shape.inner),
               next_unit = has_next ? rows(step.next, shape.width) : Tensor();
  const NextMapGradient next =
      has_next ? next_gradient_of(back, step, dout, next_unit) : NextMapGradient{};
  const MlpAroundGradient around{.epsilon = static_cast<float>(step.norm.epsilon),
                                 .input_gradient = static_cast<float>(step.norm.input_gradient),
                                 .out_skip = static_cast<float>(step.skip),
                                 .skip = static_cast<float>(skip),
                                 .branch = 0.0f,
                                 .df = nullptr,
                                 .map = mapped ? data(step.map.value) : nullptr,
                                 .map_stride = mapped ? step.map.value.stride(0) : 0,
                                 .map_factor = static_cast<float>(step.map.A_input * factor),
                                 .dmapped = writable(dmapped)};
  streamed_mlp_backward(shape,
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
      {m.first, units, unit}, {m.second, dout.flatten(1, 2), hidden, step.branch_gradient}};
  if (mapped) gradients.push_back({step.map, dx.flatten(1, 2), f.flatten(1, 2), factor});
  if (next_unit.defined()) gradients.push_back({step.next, back.mapped.flatten(1, 2), next_unit});
  add_weight_gradients(gradients);
  return {dx, dmapped};
}

bool fits_last_map(const Tensor& x, const Weight& map) {
  return map.value.defined() && fits_rows_on_chip(x, map) && map.value.size(1) == x.size(3) &&
         map.value.size(2) == x.size(3);
}

// Outputs of the next norm, or of its map, where the kernel takes it along; 0: it does not.
int64_t next_outputs(const Tensor& x, const ResidualStep& step) {
  if (step.next_norm.center) return 0;
  if (step.next_alone) return x.size(3);
  const Weight& map = step.next;
  const bool fits = map.value.defined() && fits_rows_on_chip(x, map) &&
                    map.value.size(2) == x.size(3) && map.value.size(1) % 8 == 0;
  return fits ? map.value.size(1) : 0;
}

}  // namespace

bool fits_streamed_step(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  return fits_streamed_mlp(x.size(3), m.second.value.size(2)) && is_hopper() &&
         m.kind != Activation::reglu2 && !step.norm.center && step.norm.skip != 0.0 &&
         (!f.defined() || fits_last_map(x, step.map)) && fits_rows_on_chip(x, m.first) &&
         fits_rows_on_chip(x, m.second) &&
         fills_device(x.size(0), x.size(1) * x.size(2), processors());
}

Stepped streamed_mlp_step(const Tensor& x, const Tensor& f, const Mlp& m,
                          const ResidualStep& step) {
  const Tensor input = x.detach().contiguous();
  const Tensor branch = f.defined() ? f.detach().contiguous() : Tensor();
  Tensor out = at::empty_like(input), mapped;
  const Tensor h = f.defined() ? at::empty_like(input) : input;
  const int64_t outputs = next_outputs(input, step);
  if (outputs > 0) mapped = at::empty({x.size(0), x.size(1), x.size(2), outputs}, input.options());
  const NextMap next = outputs > 0 ? next_map_of(step, mapped) : NextMap{};
  const MlpAround around{.epsilon = static_cast<float>(step.norm.epsilon),
                         .f = data(branch),
                         .map = f.defined() ? data(step.map.value) : nullptr,
                         .map_stride = f.defined() ? step.map.value.stride(0) : 0,
                         .map_factor = static_cast<float>(step.map.A),
                         .skip = static_cast<float>(step.norm.skip),
                         .branch = static_cast<float>(step.norm.branch),
                         .h = f.defined() ? writable(h) : nullptr,
                         .out_skip = static_cast<float>(step.skip),
                         .next = outputs > 0 ? &next : nullptr};
  streamed_mlp_forward(mlp_shape_of(input, m),
                       {.x = data(input),
                        .first = data(m.first.value),
                        .second = data(m.second.value),
                        .first_factor = static_cast<float>(m.first.A),
                        .activation = static_cast<float>(m.activation.forward),
                        .second_factor = static_cast<float>(m.second.A * step.branch),
                        .out = writable(out),
                        .block = &around},
                       stream());
  std::vector<Tensor> outs{out};
  if (outputs > 0) outs.push_back(mapped);
  record(outs, {x, f},
         [=, stream = outputs > 0 ? out.detach() : Tensor(), taken = outputs > 0,
          wanted = f.defined() && f.requires_grad()](const std::vector<Tensor>& g) {
           const auto packed = [](const Tensor& t) {
             return t.defined() ? t.contiguous() : Tensor();
           };
           const StepBack back{stream, packed(g[0]), taken ? packed(g[1]) : Tensor()};
           const auto [dx, df] = gradients_of_streamed(h, branch, back, m, step, wanted);
           return std::vector<Tensor>{dx, df};
         });
  return {out, mapped};
}

}  // namespace rung::cuda
#endif
