#ifdef RUNG_CUDA
#include "ops/gate_map.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <optional>

#include "ops/cuda/fused.h"
#include "ops/cuda/gate_map.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"
#include "ops/gated_mlstm.h"
#include "ops/linear.h"

namespace rung::cuda {

using at::Tensor;

namespace {

GateMapShape gate_map_shape_of(const Tensor& x, const GateMap& g) {
  return {.members = x.size(0),
          .rows = x.size(1) * x.size(2),
          .width = x.size(3),
          .gates = g.weight.value.size(1),
          .matrix_stride = g.weight.value.stride(0),
          .bias_stride = g.bias.value.stride(0),
          .cap = static_cast<float>(g.cap)};
}

// The gradient of x by way of the gates alone.
Tensor gate_gradient(const Tensor& x, const GateMap& g, const Tensor& gates, const Tensor& dgates) {
  const GateMapShape shape = gate_map_shape_of(x, g);
  Tensor dx = at::empty_like(x), partial;
  if (g.weight.gradient.defined() || g.bias.gradient.defined())
    partial =
        at::empty({shape.members, shape.splits(), shape.gates, shape.width + 1}, gates.options());
  const auto stride = [](const Weight& w) {
    return w.gradient.defined() ? w.gradient.stride(0) : 0;
  };
  gate_map_backward(shape, data(x), data(g.weight.value),
                    {.gates = floats(gates),
                     .dgates = floats(dgates),
                     .input_factor = static_cast<float>(g.weight.A_input),
                     .matrix_factor = static_cast<float>(g.weight.A_weight),
                     .bias_factor = static_cast<float>(g.bias.A_weight),
                     .dx = writable(dx),
                     .dmatrix = floats(g.weight.gradient),
                     .dbias = floats(g.bias.gradient),
                     .dmatrix_stride = stride(g.weight),
                     .dbias_stride = stride(g.bias),
                     .partial = floats(partial)},
                    stream());
  return dx;
}

// The map's and the gates' matrices as one with `map_room` rows for the gates; nothing where they
// do not lie so. Rows beyond the gates are whatever follows: what they are multiplied by is zero.
std::optional<Weight> with_room(const Weight& weight, const GateMap& g) {
  Weight gates = g.weight;  // its factors are the slopes'
  gates.A = weight.A, gates.A_input = weight.A_input, gates.A_weight = weight.A_weight;
  std::optional<Weight> all = stacked(std::vector{weight, gates});
  if (!all || g.weight.value.size(1) > map_room) return std::nullopt;
  const int64_t rows = weight.value.size(1) + map_room;
  const auto widened = [&](Tensor& t) {
    const int64_t last = t.storage_offset() + (t.size(0) - 1) * t.stride(0) + rows * t.size(2);
    if (last * static_cast<int64_t>(t.element_size()) > static_cast<int64_t>(t.storage().nbytes()))
      return false;
    t = t.as_strided({t.size(0), rows, t.size(2)}, t.strides());
    return true;
  };
  if (!widened(all->value) || (all->gradient.defined() && !widened(all->gradient)))
    return std::nullopt;
  return all;
}

// dy [P, B, T, out] as its rows and `map_room` columns behind each; undefined where there are none.
Tensor rows_with_room(const Tensor& dy) {
  const int64_t row = dy.size(3) + map_room;
  const auto evenly = [&](int64_t dim, int64_t stride) {
    return dy.size(dim) == 1 || dy.stride(dim) == stride;
  };
  if (dy.stride(3) != 1 || dy.stride(2) != row || !evenly(1, dy.size(2) * row) ||
      !evenly(0, dy.size(1) * dy.size(2) * row))
    return {};
  const int64_t rows = dy.size(1) * dy.size(2);
  return dy.as_strided({dy.size(0), rows, row}, {rows * row, row, 1});
}

// All gradients by two products: the gates' stand in the room behind the map's.
Tensor gradient_at_once(const Tensor& x, const Weight& all, const GateMap& g, const Tensor& gates,
                        const Tensor& dgates, const Tensor& rows) {
  const GateMapShape shape = gate_map_shape_of(x, g);
  const bool biased = g.bias.gradient.defined();
  const Tensor partial =
      biased ? at::empty({shape.members, slope_blocks(shape.rows), map_room}, gates.options())
             : Tensor();
  const auto put = [&](double factor, const Tensor& sums) {
    gate_slopes(shape,
                {.gates = floats(gates),
                 .dgates = floats(dgates),
                 .to = writable(rows.narrow(2, rows.size(2) - map_room, map_room)),
                 .stride = rows.size(2),
                 .factor = static_cast<float>(factor),
                 .bias_factor = static_cast<float>(g.bias.A_weight),
                 .dbias = floats(g.bias.gradient),
                 .dbias_stride = biased ? g.bias.gradient.stride(0) : 0,
                 .partial = floats(sums)},
                stream());
  };
  const double of_weight = g.weight.A_weight / all.A_weight,
               of_input = g.weight.A_input / all.A_input;
  const Tensor input = x.view({shape.members, shape.rows, shape.width});
  put(of_weight, partial);
  if (all.gradient.defined())
    matmul_into(all.gradient, rows.transpose(1, 2), input, all.A_weight, true);
  if (of_input != of_weight) put(of_input, Tensor());
  Tensor dx = at::empty_like(x);
  matmul_into(dx.view(input.sizes()), rows, all.value.detach(), all.A_input, false);
  return dx;
}

}  // namespace

bool fits_gate_map(const Tensor& x, const Weight& weight, const GateMap& g) {
  const Weight& bias = g.bias;
  return x.scalar_type() == at::kBFloat16 && weight.value.scalar_type() == at::kBFloat16 &&
         weight.is_plain() && g.weight.is_plain() && is_packed_half(g.weight) &&
         bias.value.scalar_type() == at::kBFloat16 &&
         (!bias.gradient.defined() || bias.gradient.scalar_type() == at::kFloat) &&
         fits_gate_map(x.size(3), g.weight.value.size(1));
}

std::pair<Tensor, Tensor> linear_and_gates(const Tensor& x, const Weight& weight,
                                           const GateMap& g) {
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2), in = x.size(3),
                out = weight.value.size(1);
  const Tensor input = x.detach().contiguous(), value = weight.value.detach();
  Tensor y, gates;
  {
    at::NoGradGuard off;
    y = at::empty({members, x.size(1), x.size(2), out}, input.options());
    gates = at::empty({members, x.size(1), x.size(2), g.weight.value.size(1)},
                      input.options().dtype(at::kFloat));
    matmul_into(y.view({members, rows, out}), input.view({members, rows, in}),
                value.transpose(1, 2), weight.A, false);
    gate_map_forward(gate_map_shape_of(input, g), data(input), data(g.weight.value),
                     static_cast<float>(g.weight.A), data(g.bias.value),
                     static_cast<float>(g.bias.A), floats(gates), stream());
  }
  record({y, gates}, {x}, [=, kept = gates.detach()](const std::vector<Tensor>& d) {
    Tensor dx;
    const Tensor all_rows = d[0].defined() ? rows_with_room(d[0]) : Tensor();
    if (all_rows.defined() && d[1].defined()) {
      if (const std::optional<Weight> all = with_room(weight, g))
        return std::vector<Tensor>{
            gradient_at_once(input, *all, g, kept, d[1].contiguous(), all_rows)};
    }
    if (d[1].defined()) dx = gate_gradient(input, g, kept, d[1].contiguous());
    if (d[0].defined()) {
      const Tensor dy = all_rows.defined() ? all_rows.narrow(2, 0, out)
                                           : d[0].contiguous().view({members, rows, out});
      if (weight.gradient.defined())
        matmul_into(weight.gradient, dy.transpose(1, 2), input.view({members, rows, in}),
                    weight.A_weight, true);
      const bool more = dx.defined();
      if (!more) dx = at::empty_like(input);
      matmul_into(dx.view({members, rows, in}), dy, value, weight.A_input, more);
    }
    return std::vector<Tensor>{dx};
  });
  return {y, gates};
}

}  // namespace rung::cuda
#endif
