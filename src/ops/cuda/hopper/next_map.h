// What the steps through an ffn at widths 128 and 256 (sliced_mlp.h, streamed_mlp.h) say of the
// norm and map that follow them.
#pragma once
#include "ops/cuda/fused.h"
#include "ops/cuda/hopper/sliced_mlp.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

// Elements between members' maps; 0 where there is none.
inline int64_t member_stride(const Weight& map) {
  return map.value.defined() ? map.value.stride(0) : 0;
}

// What comes back to a step: the gradient of its output `out`, and that of what the next norm or
// map made of it where the step took that along (either may be undefined).
struct StepBack {
  at::Tensor out, dout, mapped;
};

// The next norm, and its map if there is one, into `mapped`.
inline NextMap next_map_of(const ResidualStep& step, const at::Tensor& mapped) {
  return {.map = data(step.next.value),
          .map_stride = member_stride(step.next),
          .out = mapped.size(3),
          .epsilon = static_cast<float>(step.next_norm.epsilon),
          .factor = static_cast<float>(step.next.A),
          .y = writable(mapped)};
}

// The gradient of the output, dout, through the next norm, and `unit`, what its map's gradient is
// made of.
inline NextMapGradient next_gradient_of(const StepBack& back, const ResidualStep& step,
                                        const at::Tensor& dout, const at::Tensor& unit) {
  return {.x = data(back.out),
          .map = data(step.next.value),
          .map_stride = member_stride(step.next),
          .out = back.mapped.size(3),
          .epsilon = static_cast<float>(step.next_norm.epsilon),
          .dinput = static_cast<float>(step.next.A_input * step.next_norm.input_gradient),
          .dy = data(back.mapped),
          .around = data(back.dout),
          .dx = writable(dout),
          .unit = writable(unit)};
}

}  // namespace rung::cuda
