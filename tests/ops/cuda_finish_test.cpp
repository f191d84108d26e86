// How a step ends on the GPU: norm, clip, and who is alive.
#ifdef RUNG_CUDA
#include <cmath>

#include "ops/cuda/gradients.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/tensor.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

namespace {

// Units of 128 elements by turns in fp32 and bf16.
Layout halves_of(const Tensor& gradient) {
  Layout layout;
  for (int64_t at = 0; at < gradient.size(1); at += 128) {
    layout.tensors.push_back({.name = "t", .shape = {128}});
    layout.offsets.push_back(at);
  }
  layout.stride = layout.trained = gradient.size(1);
  return layout;
}

GradientArena split_of(const Tensor& gradient) {
  const Layout layout = halves_of(gradient);
  std::vector<size_t> half;
  for (size_t i = 0; i < layout.tensors.size(); i += 2) half.push_back(i);
  GradientArena arena = make_gradient_arena(layout, half, gradient.size(0), gradient.options());
  for (size_t i = 0; i < layout.tensors.size(); ++i)
    view(layout, arena, i).copy_(view(layout, gradient, i));
  return arena;
}

void check_verdict(bool split) {
  CAPTURE(split);
  const int64_t members = 3, size = 128 * 77, rows = 600;
  const auto device = at::Device(at::kCUDA);
  const Tensor gradient = normal({members, size}, 1).to(device, at::kFloat);
  const GradientArena arena = split_of(gradient);
  Tensor losses = normal({members, rows}, 2).abs().to(device, at::kFloat);
  losses.select(0, 2)[17] = std::nan("");
  Tensor control = at::zeros({members, cuda::control_count}, at::kFloat);
  control.select(1, cuda::control_running).fill_(1.0);
  control.select(1, cuda::control_clip).select(0, 0).fill_(0.5);
  control = control.to(device);
  Tensor shares =
      at::zeros({members, cuda::finish_blocks(size), 2}, control.options().dtype(at::kDouble));
  Tensor ended = at::zeros({members}, control.options().dtype(at::kInt)), turns = ended.clone();
  Tensor alive = at::ones({members}, control.options().dtype(at::kInt));
  Tensor hyper = at::zeros({members, 8}, control.options());
  Tensor result = at::zeros({2, members, cuda::result_count}, control.options());
  control = control.repeat({2, 1});  // two slots
  for (int step = 0; step < 4; ++step) {
    if (step == 3) result.zero_();
    cuda::finish_step({.members = members,
                       .size = size,
                       .rows = rows,
                       .gradient = cuda::gradients_of(gradient, split ? &arena : nullptr),
                       .losses = losses.const_data_ptr<float>(),
                       .turns = {.turn = reinterpret_cast<unsigned*>(turns.mutable_data_ptr<int>()),
                                 .slots = 2,
                                 .stride = static_cast<int64_t>(control.nbytes() / 2)},
                       .control = control.const_data_ptr<float>(),
                       .partial = shares.mutable_data_ptr<double>(),
                       .ended = reinterpret_cast<unsigned*>(ended.mutable_data_ptr<int>()),
                       .alive = alive.mutable_data_ptr<int>(),
                       .hyper = hyper.mutable_data_ptr<float>(),
                       .result = result.mutable_data_ptr<float>()},
                      cuda::stream());
  }
  const Tensor norms = (split ? joined(halves_of(gradient), arena) : gradient)
                           .to(at::kDouble)
                           .square()
                           .sum(1)
                           .sqrt();
  for (int64_t m = 0; m < members; ++m) {
    CHECK(turns[m].item<int>() == 4);
    CHECK(result[0][m].abs().sum().item<double>() == 0.0);  // this slot's turn came before the last
    const Tensor row = result[1][m].cpu();
    CHECK(row[cuda::result_norm].item<double>() ==
          doctest::Approx(norms[m].item<double>()).epsilon(1e-6));
    CHECK(row[cuda::result_alive].item<double>() == (m == 2 ? 0.0 : 1.0));
    CHECK(alive[m].item<int>() == (m == 2 ? 0 : 1));
    const double scale = m == 0 ? 0.5 / norms[m].item<double>() : 1.0;
    CHECK(hyper[m][7].item<double>() == doctest::Approx(scale).epsilon(1e-6));
  }
  CHECK(result[1][0][cuda::result_loss].item<double>() ==
        doctest::Approx(losses[0].to(at::kDouble).mean().item<double>()).epsilon(1e-6));
}

}  // namespace

TEST_CASE("the step's verdict: norm, clip scale, and a member that is not finite") {
  if (no_gpu()) return;
  for (const bool split : {false, true}) check_verdict(split);
}
#endif
