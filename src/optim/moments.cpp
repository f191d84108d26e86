#include "optim/moments.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/where.h>

#include "core/error.h"
#include "ops/quantise.h"

namespace rung {

using at::Tensor;

namespace {

// What one draw fills up for each of `size` elements from `begin` on, [P, size] in [0, 1);
// undefined: rounding is to the nearest.
Tensor draws_of(const StepInput& in, const std::string& name, int64_t begin, int64_t size) {
  if (!in.keys.defined()) return {};
  const Tensor places = at::arange(begin + 1, begin + size + 1, in.keys.options());
  const Tensor words = mix_plain(places.mul(static_cast<int64_t>(0x9e3779b97f4a7c15ull)) +
                                 in.keys.unsqueeze(1));  // two_draws (ops/rounding.h)
  const Tensor own = name == first_moment ? words.bitwise_right_shift(32) : words;
  return own.bitwise_and(0xffffffffll).to(at::kDouble).mul_(0x1p-32);
}

// x [P, size] in whole blocks, [P, blocks, moment_block].
Tensor blocks_of(const Tensor& x) {
  const int64_t count = (x.size(1) + moment_block - 1) / moment_block;
  return at::constant_pad_nd(x, {0, count * moment_block - x.size(1)}, 0)
      .view({x.size(0), count, moment_block});
}

Tensor block_scales(const StepInput& in, size_t index) {
  const int64_t size = in.layout.tensors[index].size();
  return in.state.at(moment_scales)
      .narrow(1, in.layout.offsets[index] / moment_block, (size + moment_block - 1) / moment_block);
}

// One for each element from one a block.
Tensor spread(const Tensor& scale, int64_t size) {
  return scale.unsqueeze(2)
      .expand({-1, -1, moment_block})
      .reshape({scale.size(0), -1})
      .narrow(1, 0, size);
}

// E4M3 codes, and the blocks' scales beside them.
void write_e4m3(const StepInput& in, size_t index, const Tensor& value) {
  const Quantiser q = parse_quantiser("e4m3 block128 pow2", "train.moments");
  const Tensor scale = scales_plain(blocks_of(value), q).squeeze(2);
  block_scales(in, index).copy_(1.0 / scale);
  const Tensor scaled = value * spread(scale, value.size(1));
  Tensor draws = draws_of(in, first_moment, in.layout.offsets[index], value.size(1));
  if (draws.defined())
    draws = at::where(scaled.abs() < static_cast<double>(smallest_moment), at::Scalar(0.5), draws);
  flat_part(in.layout, in.state.at(first_moment), index)
      .copy_(round_to_grid_plain(scaled, q, draws).to(at::kFloat8_e4m3fn));
}

}  // namespace

std::vector<StateSpec> states_of(const Optimizer& optimizer, const Layout& layout,
                                 const std::string& moments) {
  std::vector<StateSpec> states = optimizer.state(layout);
  if (moments == "fp32") return states;
  if (!optimizer.adam_moments) {
    std::vector<std::string_view> others;
    for (const Optimizer& other : optimizers())
      if (other.adam_moments) others.push_back(other.name);
    fail_usage(
        "[optimizer] {} keeps its state in fp32; {} keep moments in fewer bits. Received "
        "train.moments = {}.",
        optimizer.name, fmt::join(others, ", "), moments);
  }
  for (StateSpec& state : states)
    state.type =
        moments == "fp8" && state.name == first_moment ? at::kFloat8_e4m3fn : at::kBFloat16;
  if (moments == "fp8") states.push_back({moment_scales, layout.stride / moment_block, at::kFloat});
  return states;
}

double state_bytes(const std::vector<StateSpec>& states, double master) {
  double bytes = 0.0;
  for (const StateSpec& state : states)
    bytes += static_cast<double>(state.size) *
             (state.type ? static_cast<double>(c10::elementSize(*state.type)) : master);
  return bytes;
}

MomentKind kind_of(const std::map<std::string, Tensor>& state) {
  const auto found = state.find(first_moment);
  if (found == state.end()) return MomentKind::wide;
  if (found->second.scalar_type() == at::kFloat8_e4m3fn) return MomentKind::fp8;
  return found->second.scalar_type() == at::kBFloat16 ? MomentKind::bf16 : MomentKind::wide;
}

Tensor read_moment(const StepInput& in, size_t index, const std::string& name) {
  const Tensor own = flat_part(in.layout, in.state.at(name), index);
  if (own.scalar_type() == in.weights.scalar_type()) return own;
  const Tensor value = own.to(in.weights.scalar_type());
  if (own.scalar_type() != at::kFloat8_e4m3fn) return value;
  return value * spread(block_scales(in, index), value.size(1));
}

void write_moment(const StepInput& in, size_t index, const std::string& name, const Tensor& value) {
  Tensor own = flat_part(in.layout, in.state.at(name), index);
  if (own.scalar_type() == value.scalar_type()) {
    if (own.const_data_ptr() != value.const_data_ptr()) own.copy_(value);
  } else if (own.scalar_type() == at::kFloat8_e4m3fn) {
    write_e4m3(in, index, value);
  } else {
    const Quantiser q = parse_quantiser("bf16", "train.moments");
    own.copy_(
        round_to_grid_plain(value, q, draws_of(in, name, in.layout.offsets[index], value.size(1))));
  }
}

}  // namespace rung
