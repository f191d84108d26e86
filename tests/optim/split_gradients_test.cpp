// AdamW on gradients of which some lie in bf16: the step on one buffer with the same roundings.
#include "support/moment_steps.h"
#ifdef RUNG_CUDA
#include "support/no_gpu.h"
#endif

using namespace rung;
using namespace rung::test;

namespace {

const std::vector<size_t> rounded{1, 3};  // of odd_layout's tensors

void on_two_buffers(const StepInput& in) {
  const GradientArena arena =
      make_gradient_arena(in.layout, rounded, in.weights.size(0), in.weights.options());
  for (size_t i = 0; i < in.layout.tensors.size(); ++i)
    view(in.layout, arena, i).copy_(view(in.layout, in.gradient, i));
  StepInput split = in;
  split.gradient = Tensor();
  split.split = &arena;
  adamw_step(split);
}

void on_one_buffer(const StepInput& in) {
  for (const size_t i : rounded) {
    Tensor own = flat_part(in.layout, in.gradient, i);
    own.copy_(own.to(at::kBFloat16));
  }
  adamw_step(in);
}

void check_steps(at::Device device) {
  for (const char* kind : {"fp32", "bf16", "fp8"}) {
    CAPTURE(kind);
    const bool drawn = std::string(kind) != "fp32";
    MomentRun split(kind, drawn, 3, device), whole(kind, drawn, 3, device),
        exact(kind, drawn, 3, device);
    for (MomentRun* run : {&split, &whole}) {
      run->alive = at::ones({3}, run->weights.options().dtype(at::kInt));
      if (device.is_cuda()) {
        run->alive[1].fill_(0);
        run->compute = at::zeros(run->weights.sizes(), run->weights.options().dtype(at::kBFloat16));
      }
    }
    for (int t = 1; t <= 5; ++t) {
      split.step(on_two_buffers, t);
      whole.step(on_one_buffer, t);
      exact.step(adamw_step, t);
    }
    CHECK(same_bits(split.weights, whole.weights));
    CHECK(same_bits(split.first(), whole.first()));
    CHECK(same_bits(split.second(), whole.second()));
    if (device.is_cuda()) CHECK(same_bits(split.compute, whole.compute));
    CHECK_FALSE(same_bits(split.weights[0], exact.weights[0]));
    CHECK(distance(split.weights[0], exact.weights[0]) < 1e-2);
  }
}

}  // namespace

TEST_CASE("gradients in two buffers: AdamW's step is that on one with the same roundings") {
  check_steps(at::Device(at::kCPU));
}

#ifdef RUNG_CUDA
TEST_CASE("gradients in two buffers on the GPU: AdamW's step is that on one") {
  if (no_gpu()) return;
  check_steps(at::Device(at::kCUDA));
}
#endif
