// Steps of a wide bf16 stream, whose maps add to it themselves, against their plain twins in fp64
// on the CPU, and the products with an addition that they are made of.
#ifdef RUNG_CUDA
#include <ATen/ops/full_like.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

#include <cmath>

#include "ops/cuda/fused.h"
#include "ops/cuda/product.h"
#include "ops/cuda/wide_step.h"
#include "ops/mlp.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

namespace {

// A step from x (inputs 1), from x and f (2), or from x and f that is still to be mapped (3), and
// with the next norm and a map to `next` outputs, or to none, behind it (4).
Twin wide_twin(Activation kind, std::vector<int64_t> shape, int64_t inner, int inputs,
               double skip = 0.8, bool streamed = false, int64_t next = 0) {
  const ActivationOptions factors{.slope = 1.3, .forward = 1.7, .backward = 0.6};
  const ResidualStep step{.norm = {.center = kind == Activation::relu2 && !streamed,
                                   .skip = skip,
                                   .branch = 0.6,
                                   .branch_gradient = 0.5,
                                   .input_gradient = 0.7},
                          .skip = 0.9,
                          .branch = 0.4,
                          .branch_gradient = 1.2};
  const int64_t rows = kind == Activation::swiglu || kind == Activation::geglu ? 2 : 1;
  const auto op = [=](auto around) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) -> std::vector<Tensor> {
      const Mlp m{.kind = kind, .activation = factors, .first = w[0], .second = w[1]};
      ResidualStep own = step;
      if (inputs >= 3) own.map = w[2];
      if (inputs == 4) own.next_norm = {.input_gradient = 0.7};
      if (inputs == 4 && next > 0) own.next = w[3];
      if (inputs == 4 && next == 0) own.next_alone = true;
      if (x[0].is_cuda() && x[0].scalar_type() == at::kBFloat16)
        CHECK(cuda::fits_wide_step(x[0], m, own));
      if (streamed && x[0].is_cuda() && x[0].scalar_type() == at::kBFloat16)
        CHECK(cuda::fits_streamed_step(x[0], inputs >= 2 ? x[1] : Tensor(), m, own));
      const Stepped out = around(x[0], inputs >= 2 ? x[1] : Tensor(), m, own);
      if (inputs < 4) return {out.stream};
      REQUIRE(out.mapped.defined());
      return {out.stream, out.mapped};
    };
  };
  Twin twin{
      .name = fmt::format("wide step {} P={} T={} D={} F={} inputs={}", static_cast<int>(kind),
                          shape[0], shape[2], shape[3], inner, inputs),
      .inputs = {normal(shape, 1)},
      .weights = {normal({shape[0], rows * inner, shape[3]}, 3) * 0.1,
                  normal({shape[0], shape[3], inner}, 4) * 0.05},
      .factors = {.A = 0.5, .A_input = 0.25, .A_weight = 2.0},
      .fused = op(mlp_step),
      .plain = op(mlp_step_plain)};
  if (inputs >= 2) twin.inputs.push_back(normal(shape, 2));
  if (inputs >= 3) twin.weights.push_back(normal({shape[0], shape[3], shape[3]}, 5) * 0.1);
  if (inputs == 4 && next > 0) twin.weights.push_back(normal({shape[0], next, shape[3]}, 6) * 0.1);
  return twin;
}

Tensor on_card(const std::vector<int64_t>& sizes, uint64_t seed) {
  return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
}

}  // namespace

TEST_CASE("wide steps on the GPU equal their twins") {
  if (no_gpu()) return;
  for (const Activation kind :
       {Activation::swiglu, Activation::geglu, Activation::gelu, Activation::relu2})
    for (const int inputs : {1, 2, 3})
      check_on_gpu(wide_twin(kind, {1, 2, 37, 192}, 200, inputs), 1e-2);
  check_on_gpu(wide_twin(Activation::swiglu, {3, 2, 33, 256}, 136, 3), 1e-2);
  check_on_gpu(wide_twin(Activation::swiglu, {1, 2, 77, 512}, 1408, 3), 1e-2);
  check_on_gpu(wide_twin(Activation::swiglu, {1, 2, 33, 192}, 136, 3, 0.0), 1e-2);
}

TEST_CASE("steps of width 256 on the GPU keep hidden units on chip and equal their twins") {
  if (no_gpu()) return;
  struct Case {
    Activation kind;
    std::vector<int64_t> shape;
    int64_t inner;
    int inputs;
  };
  // Rows enough for the kernels; the last block, cluster and slice partly filled.
  for (const Case& c : std::vector<Case>{{Activation::swiglu, {1, 2, 6400, 256}, 136, 3},
                                         {Activation::swiglu, {40, 2, 150, 256}, 72, 3},
                                         {Activation::swiglu, {100, 1, 70, 256}, 264, 1},
                                         {Activation::geglu, {34, 1, 300, 256}, 104, 3},
                                         {Activation::gelu, {34, 1, 300, 256}, 72, 3},
                                         {Activation::gelu, {50, 2, 128, 256}, 64, 1},
                                         {Activation::gelu, {34, 1, 300, 256}, 32, 3},
                                         {Activation::swiglu, {34, 1, 300, 256}, 8, 3}})
    check_on_gpu(wide_twin(c.kind, c.shape, c.inner, c.inputs, 0.8, true), 1e-2);
  // With the next norm and map.
  const auto check_next = [](Activation kind, std::vector<int64_t> shape, int64_t inner,
                             int64_t next) {
    check_on_gpu(wide_twin(kind, std::move(shape), inner, 4, 0.8, true, next), 1e-2);
  };
  check_next(Activation::swiglu, {40, 2, 150, 256}, 136, 768);
  check_next(Activation::geglu, {34, 1, 300, 256}, 72, 200);
  check_next(Activation::gelu, {50, 2, 128, 256}, 64, 264);
  check_next(Activation::relu2, {34, 1, 300, 256}, 8, 8);
  check_next(Activation::swiglu, {40, 2, 150, 256}, 136, 0);
  check_next(Activation::gelu, {34, 1, 300, 256}, 32, 0);
}

TEST_CASE("steps of width 256 on the GPU leave matrices' gradients in bf16 to products") {
  if (no_gpu()) return;
  const Twin twin = wide_twin(Activation::swiglu, {34, 1, 300, 256}, 104, 3, 0.8, true);
  Prepared wide = prepare(twin, at::kBFloat16, true), half = prepare(twin, at::kBFloat16, true);
  for (size_t i = 0; i < half.weights.size(); ++i) {
    Tensor& gradient = half.weights[i].gradient;
    gradient = in_arena(gradient.to(at::kBFloat16));
    wide.weights[i].gradient.copy_(gradient);
  }
  const std::vector<Tensor> want = execute(twin, twin.fused, wide),
                            got = execute(twin, twin.fused, half);
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(distance(got[i], want[i]) < 8e-3);  // a product and a sum that are rounded
    CHECK((got[i].scalar_type() == at::kBFloat16));
  }
}

TEST_CASE("products on the GPU add what is given, in any layout, in one rounding") {
  if (no_gpu()) return;
  struct Shape {
    int64_t members, m, n, k;
  };
  for (const Shape& s : {Shape{1, 40, 72, 64}, Shape{3, 512, 640, 512}, Shape{1, 4096, 2048, 2048}})
    for (const bool turned : {false, true}) {
      CAPTURE(s.m);
      CAPTURE(turned);
      const Tensor a = on_card({s.members, s.m, s.k}, 1),
                   b = turned ? on_card({s.members, s.n, s.k}, 2).transpose(1, 2)
                              : on_card({s.members, s.k, s.n}, 2),
                   onto = on_card({s.members, s.m, s.n}, 3), kept = onto.clone();
      const Tensor out = at::full_like(onto, std::nan(""));
      REQUIRE(cuda::fits_product_onto(out, onto, a, b));
      cuda::product_onto(out, onto, -0.75, a, b, 0.5);
      const Tensor exact =
          at::matmul(a.to(at::kDouble), b.to(at::kDouble)) * 0.5 - onto.to(at::kDouble) * 0.75;
      CHECK(distance(out, exact) < 4e-3);
      CHECK(same_bits(onto, kept));
      const Tensor once = out.clone();
      cuda::product_onto(out, onto, -0.75, a, b, 0.5);
      CHECK(same_bits(out, once));
    }
}
#endif
