// Products whose kernel is chosen by trial, beside fp64.
#ifdef RUNG_CUDA
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include "ops/cuda/product.h"
#include "ops/linear.h"
#include "support/no_gpu.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

Tensor on_gpu(const std::vector<int64_t>& sizes, uint64_t seed) {
  return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
}

// [P, rows, columns], in rows or in columns.
Tensor matrix(int64_t members, int64_t rows, int64_t columns, bool turned, uint64_t seed) {
  return turned ? on_gpu({members, columns, rows}, seed).transpose(1, 2)
                : on_gpu({members, rows, columns}, seed);
}

}  // namespace

TEST_CASE("products on the GPU by trial: every layout, in bf16 and fp32, alone and added") {
  if (no_gpu()) return;
  struct Shape {
    int64_t members, m, n, k;
  };
  for (const Shape& s :
       {Shape{1, 1024, 768, 768}, Shape{1, 264, 328, 6016}, Shape{3, 512, 640, 512}})
    for (int layout = 0; layout < 4; ++layout)
      for (const bool wide : {false, true}) {
        CAPTURE(s.m);
        CAPTURE(layout);
        CAPTURE(wide);
        const Tensor a = matrix(s.members, s.m, s.k, layout % 2 == 1, 1),
                     b = matrix(s.members, s.k, s.n, layout / 2 == 1, 2);
        const auto type = a.options().dtype(wide ? at::kFloat : at::kBFloat16);
        // Members further apart than their matrices are large, as in the arena.
        const Tensor room = at::zeros({s.members, s.m + 8, s.n}, type);
        const Tensor out = room.narrow(1, 0, s.m);
        cuda::product(out, a, b, 0.5, false);
        const Tensor once = out.clone();
        cuda::product(out, a, b, 0.5, true);
        const Tensor exact = at::matmul(a.to(at::kDouble), b.to(at::kDouble)) * 0.5;
        CHECK(distance(once, exact) < (wide ? 1e-5 : 4e-3));
        CHECK(distance(out, exact * 2.0) < (wide ? 1e-5 : 6e-3));
        CHECK(room.narrow(1, s.m, 8).abs().max().item<double>() == 0.0);
        cuda::product(out, a, b, 0.5, false);
        CHECK(same_bits(out, once));
      }
}

TEST_CASE("products on the GPU by trial: large ones, and no small ones or odd strides") {
  if (no_gpu()) return;
  const auto fits = [](int64_t m, int64_t n, int64_t k, int64_t spare) {
    const Tensor a = at::zeros({1, m, k + spare}, at::device(at::kCUDA).dtype(at::kBFloat16))
                         .narrow(2, 0, k),
                 b = at::zeros({1, k, n}, a.options()), out = at::zeros({1, m, n}, a.options());
    return cuda::fits_product(out, a, b);
  };
  CHECK(fits(4096, 2048, 2048, 0));
  CHECK(fits(4096, 2048, 2048, 8));
  CHECK_FALSE(fits(4096, 2048, 2048, 4));
  CHECK_FALSE(fits(1024, 1024, 1024, 0));
  const Tensor a = on_gpu({1, 4096, 2048}, 1), b = on_gpu({1, 2048, 2048}, 2);
  const Tensor out = at::zeros({1, 4096, 2048}, a.options());
  matmul_into(out, a, b, 1.0, false);
  CHECK(distance(out, at::matmul(a.to(at::kDouble), b.to(at::kDouble))) < 4e-3);
}
#endif
