// AdamW on the GPU with moments in bf16 and FP8 against the twin of tensor operations.
#ifdef RUNG_CUDA
#include "support/moment_steps.h"
#include "support/no_gpu.h"

using namespace rung;
using namespace rung::test;

namespace {

double differing(const Tensor& a, const Tensor& b) {
  return (a - b).ne(0.0).to(at::kDouble).mean().item<double>();
}

}  // namespace

TEST_CASE("moments on the GPU: the kernel is the plain twin, draws included") {
  if (no_gpu()) return;
  for (const char* kind : {"bf16", "fp8"})
    for (const bool drawn : {true, false}) {
      CAPTURE(kind);
      CAPTURE(drawn);
      MomentRun gpu(kind, drawn, 3, at::Device(at::kCUDA)), plain(kind, drawn, 3);
      gpu.compute = at::zeros(gpu.weights.sizes(), gpu.weights.options().dtype(at::kBFloat16));
      for (int t = 1; t <= 20; ++t) {
        gpu.step(adamw_step, t), plain.step(adamw_step_plain, t);
        CHECK(differing(gpu.first(), plain.first()) < 0.01);
        CHECK(differing(gpu.second(), plain.second()) < 0.01);
      }
      CHECK(distance(gpu.weights.cpu(), plain.weights) < 1e-3);
      CHECK(same_bits(gpu.compute, gpu.weights.to(at::kBFloat16)));
      CHECK(plain.first().abs().max().item<double>() > 0.0);
    }
}

TEST_CASE("moments on the GPU: a member that is not alive keeps everything") {
  if (no_gpu()) return;
  for (const char* kind : {"bf16", "fp8"}) {
    CAPTURE(kind);
    MomentRun run(kind, true, 3, at::Device(at::kCUDA)), all(kind, true, 3, at::Device(at::kCUDA));
    run.step(adamw_step, 1), all.step(adamw_step, 1);
    const Tensor weights = run.weights.clone(), first = run.first(), second = run.second();
    run.alive = at::ones({3}, run.weights.options().dtype(at::kInt));
    run.alive[1].fill_(0);
    for (int t = 2; t <= 4; ++t) run.step(adamw_step, t), all.step(adamw_step, t);
    CHECK(same_bits(run.weights[1], weights[1]));
    CHECK(same_bits(run.first()[1], first[1]));
    CHECK(same_bits(run.second()[1], second[1]));
    for (const int64_t m : {0, 2}) {
      CHECK(same_bits(run.weights[m], all.weights[m]));
      CHECK(same_bits(run.first()[m], all.first()[m]));
    }
  }
}

TEST_CASE("moments on the GPU: members that lie further apart are those that lie side by side") {
  if (no_gpu()) return;
  for (const char* kind : {"bf16", "fp8"}) {
    MomentRun close(kind, true, 3, at::Device(at::kCUDA)),
        apart(kind, true, 3, at::Device(at::kCUDA));
    const int64_t n = apart.layout.stride;
    Tensor wider = at::zeros({3, n + 256}, apart.weights.options());
    wider.narrow(1, 0, n).copy_(apart.weights);
    apart.weights = wider.narrow(1, 0, n);
    for (int t = 1; t <= 3; ++t) close.step(adamw_step, t), apart.step(adamw_step, t);
    CHECK(same_bits(close.weights, apart.weights));
    CHECK(same_bits(close.first(), apart.first()));
  }
}
#endif
