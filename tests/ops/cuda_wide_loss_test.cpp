// The loss of long rows, several a multiprocessor, beside fp64.
#ifdef RUNG_CUDA
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/hopper/wide_loss.h"
#include "support/no_gpu.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("losses of long rows on the GPU: value and gradient, walked over by few blocks") {
  if (no_gpu()) return;
  struct Shape {
    int64_t members, rows, vocabulary;
    at::ScalarType type;
  };
  for (const Shape& s : {Shape{1, 700, 50304, at::kBFloat16}, Shape{2, 265, 16392, at::kBFloat16},
                         Shape{1, 133, 56000, at::kBFloat16}, Shape{1, 3, 32768, at::kBFloat16},
                         Shape{2, 200, 20000, at::kFloat}}) {
    CAPTURE(s.vocabulary);
    const at::Device gpu(at::kCUDA);
    CHECK(cuda::fits_wide_loss(s.type == at::kFloat ? cuda::Type::f32 : cuda::Type::bf16,
                               s.vocabulary));
    // One row's numbers, shifted from row to row.
    const Tensor base = normal({s.vocabulary}, 1).to(gpu) * 4.0;
    Tensor logits = at::zeros({s.members, s.rows, s.vocabulary}, base.options().dtype(s.type));
    for (int64_t row = 0; row < s.members * s.rows; ++row)
      logits.view({-1, s.vocabulary}).select(0, row).copy_(base.roll({row * 37}, {0}));
    const Tensor targets = ids({s.members, s.rows}, s.vocabulary, 2).to(gpu);
    const double factor = 0.125;
    const Tensor exact = at::log_softmax(logits.to(at::kDouble), -1);
    const Tensor chosen = exact.gather(-1, targets.unsqueeze(-1)).squeeze(-1);
    Tensor gradient = exact.exp();
    gradient.scatter_add_(-1, targets.unsqueeze(-1),
                          at::full({s.members, s.rows, 1}, -1.0, exact.options()));
    Tensor losses = at::full({s.members, s.rows}, -1.0, logits.options().dtype(at::kFloat));
    const Tensor kept = logits.clone();
    cuda::chunk_loss(logits, targets, factor, false, losses);
    CHECK(same_bits(logits, kept));
    CHECK(distance(losses, -chosen) < 2e-6);
    losses.fill_(-1.0);
    cuda::chunk_loss(logits, targets, factor, true, losses);
    CHECK(distance(losses, -chosen) < 2e-6);
    // By row: the 2-norm of the error over that of the gradient.
    const Tensor error = (logits.to(at::kDouble) - gradient * factor).norm(2, {-1}) /
                         (gradient * factor).norm(2, {-1});
    CHECK(error.max().item<double>() < (s.type == at::kFloat ? 1e-5 : 4e-3));
    Tensor again = kept.clone();
    cuda::chunk_loss(again, targets, factor, true, losses);
    CHECK(same_bits(again, logits));
  }
}
#endif
