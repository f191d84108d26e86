#ifdef RUNG_CUDA
#include "ops/cuda/mlp.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/beside.h"
#include "ops/cuda/device.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/hopper/resident_mlp.h"
#include "ops/cuda/mlp_shape.h"
#include "ops/cuda/narrow.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"
#include "ops/linear.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Both gradients, or none: frozen matrices in part go the plain way.
bool same_freedom(const Mlp& m) {
  return m.first.gradient.defined() == m.second.gradient.defined();
}

// Whether the backward pass of a block is the one of many rows, which has room for the map.
bool is_resident(const MlpShape& shape) {
  return is_hopper() && fits_resident_mlp_backward(shape);
}

int64_t stride_of(const Tensor& gradient) {
  return gradient.defined() ? gradient.stride(0) : 0;
}

// The factors that the block's residual additions bring; all one without a block.
struct Around {
  double branch = 1.0, branch_gradient = 1.0;
};

MlpForward forward_of(const Tensor& x, const Mlp& m, const Around& around, const Tensor& out) {
  return {.x = data(x),
          .first = data(m.first.value),
          .second = data(m.second.value),
          .first_factor = static_cast<float>(m.first.A),
          .activation = static_cast<float>(m.activation.forward),
          .second_factor = static_cast<float>(m.second.A * around.branch),
          .out = writable(out),
          .block = nullptr};
}

// Sums the matrices' gradients too; returns the gradient of x.
Tensor run_backward(const Tensor& x, const Tensor& dout, const Mlp& m, const Around& around,
                    const MlpAroundGradient* block) {
  const MlpShape shape = mlp_shape_of(x, m);
  Tensor dx = at::empty_like(x), partial;
  if (m.first.gradient.defined())
    partial = at::empty(
        {shape.members, mlp_blocks(shape), m.first.value[0].numel() + m.second.value[0].numel()},
        x.options().dtype(at::kFloat));
  const MlpBackward backward{
      .x = data(x),
      .first = data(m.first.value),
      .second = data(m.second.value),
      .dout = data(dout),
      .first_factor = static_cast<float>(m.first.A),
      .activation = static_cast<float>(m.activation.forward),
      .dhidden =
          static_cast<float>(m.second.A_input * m.activation.backward * around.branch_gradient),
      .dinput = static_cast<float>(m.first.A_input),
      .dfirst_factor = static_cast<float>(m.first.A_weight),
      .dsecond_factor = static_cast<float>(m.second.A_weight * around.branch_gradient),
      .dx = writable(dx),
      .dfirst = floats(m.first.gradient),
      .dsecond = floats(m.second.gradient),
      .dfirst_stride = stride_of(m.first.gradient),
      .dsecond_stride = stride_of(m.second.gradient),
      .partial = floats(partial),
      .block = block};
  (block && is_resident(shape) ? resident_mlp_backward : mlp_backward)(shape, backward, stream());
  if (partial.defined())
    beside({partial}, m.first.gradient, [&] { mlp_join(shape, backward, stream()); });
  return dx;
}

// Gradients of x and of f (undefined: there is none), of which h is made, f by the step's map if it
// has one.
std::pair<Tensor, Tensor> step_gradients(const Tensor& h, const Tensor& f, const Tensor& dout,
                                         const Mlp& m, const ResidualStep& step) {
  const double skip = f.defined() ? step.norm.skip : 1.0,
               branch = f.defined() ? step.norm.branch_gradient : 1.0;
  const bool mapped = f.defined() && step.map.value.defined();
  const Tensor other = skip == branch ? Tensor() : at::empty_like(h);
  const Tensor dmapped = mapped ? at::empty_like(h) : Tensor();
  const MlpShape shape = mlp_shape_of(h, m);
  const bool within = mapped && (is_resident(shape) || mlp_maps_back(shape));
  const MlpAroundGradient gradient{.epsilon = static_cast<float>(step.norm.epsilon),
                                   .input_gradient = static_cast<float>(step.norm.input_gradient),
                                   .out_skip = static_cast<float>(step.skip),
                                   .skip = static_cast<float>(skip),
                                   .branch = static_cast<float>(branch),
                                   .df = writable(other),
                                   .map = within ? data(step.map.value) : nullptr,
                                   .map_stride = within ? step.map.value.stride(0) : 0,
                                   .map_factor = static_cast<float>(step.map.A_input),
                                   .dmapped = within ? writable(dmapped) : nullptr};
  const Tensor dx = run_backward(h, dout, m, {step.branch, step.branch_gradient}, &gradient);
  if (!f.defined()) return {dx, Tensor()};
  const Tensor df = other.defined() ? other : dx;
  if (!mapped) return {dx, df};
  const auto rows = [](const Tensor& t) { return t.flatten(1, 2); };
  add_weight_gradient(step.map, rows(df), rows(f));
  if (!within)
    matmul_into(rows(dmapped), rows(df), step.map.value.detach(), step.map.A_input, false);
  return {dx, dmapped};
}

}  // namespace

bool fits_map(const Tensor& x, const Weight& map) {
  return fits_narrow(x, map) && map.value.size(1) == x.size(3) && map.value.size(2) == x.size(3);
}

bool fits_mlp(const Tensor& x, const Mlp& m) {
  return m.kind != Activation::reglu2 && fits_narrow(x, m.first) && fits_narrow(x, m.second) &&
         same_freedom(m) && fits_mlp(x.size(3), m.second.value.size(2));
}

Tensor mlp(const Tensor& x, const Mlp& m) {
  const Tensor input = x.detach().contiguous();
  Tensor y = at::empty_like(input);
  mlp_forward(mlp_shape_of(input, m), forward_of(input, m, {}, y), stream());
  record({y}, {x}, [=](const std::vector<Tensor>& g) {
    return std::vector<Tensor>{run_backward(input, g[0].contiguous(), m, {}, nullptr)};
  });
  return y;
}

Tensor mlp_step(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  const Tensor input = x.detach().contiguous();
  const Tensor branch = f.defined() ? f.detach().contiguous() : Tensor();
  Tensor out = at::empty_like(input);
  const Tensor h = f.defined() ? at::empty_like(input) : input;
  const Around factors{step.branch, step.branch_gradient};
  const MlpAround around{.epsilon = static_cast<float>(step.norm.epsilon),
                         .f = data(branch),
                         .map = f.defined() ? data(step.map.value) : nullptr,
                         .map_stride = step.map.value.defined() ? step.map.value.stride(0) : 0,
                         .map_factor = static_cast<float>(step.map.A),
                         .skip = static_cast<float>(step.norm.skip),
                         .branch = static_cast<float>(step.norm.branch),
                         .h = f.defined() ? writable(h) : nullptr,
                         .out_skip = static_cast<float>(step.skip)};
  MlpForward forward = forward_of(input, m, factors, out);
  forward.block = &around;
  const MlpShape shape = mlp_shape_of(input, m);
  if (is_hopper() && fits_resident_mlp(shape, &around))
    resident_mlp_forward(shape, forward, stream());
  else
    mlp_forward(shape, forward, stream());
  record({out}, {x, f}, [=](const std::vector<Tensor>& g) {
    const auto [dx, df] = step_gradients(h, branch, g[0].contiguous(), m, step);
    return std::vector<Tensor>{dx, df};
  });
  return out;
}

}  // namespace rung::cuda
#endif
