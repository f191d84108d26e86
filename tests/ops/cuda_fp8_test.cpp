// Products on FP8 units beside the simulated ones, which round alike.
#ifdef RUNG_CUDA
#include <ATen/ops/full_like.h>

#include <cmath>

#include "ops/attention.h"
#include "ops/cuda/fp8.h"
#include "ops/cuda/fused.h"
#include "ops/cuda_fp8_maps.h"
#include "ops/linear.h"
#include "ops/mlp.h"
#include "ops/stream_attention.h"

using namespace rung;
using namespace rung::test;

namespace {

// `kept`: the weight's codes are beside it, and its value is lost.
Fp8Result run(const Tensor& x, const Tensor& value, const Tensor& upstream, bool hardware,
              bool kept = false) {
  Weight w = fp8_weight(value, 0.125, 3.0, "e5m2 scale=0.5", hardware);
  if (kept) {
    w.codes = at::empty(value.sizes(), value.options().dtype(at::kFloat8_e4m3fn));
    cuda::fp8_cast_into(w.codes, value, w.formats->weight);
    w.value = at::full_like(value, std::nan(""));
  }
  CHECK(cuda::fits_fp8(x, w) == (hardware && x.size(1) * x.size(2) % 16 == 0));
  const Tensor input = x.clone().requires_grad_();
  const Tensor y = linear(input, w);
  y.backward(upstream);
  return {y.detach(), input.grad(), w.gradient};
}

}  // namespace

TEST_CASE("fp8 on the GPU: from codes that are kept, on the units and off them") {
  if (no_gpu()) return;
  for (const int64_t rows : {32, 31}) {
    const Tensor x = gpu_bf16({3, 1, rows, 48}, 1), w = gpu_bf16({3, 80, 48}, 2),
                 up = gpu_bf16({3, 1, rows, 80}, 3);
    const Fp8Result want = run(x, w, up, true), got = run(x, w, up, true, true);
    CHECK(same_bits(got.y, want.y));
    CHECK(same_bits(got.dx, want.dx));
    CHECK(same_bits(got.dw, want.dw));
  }
}

TEST_CASE("fp8 on the GPU: three products as the simulated ones") {
  if (no_gpu()) return;
  struct Shape {
    int64_t members, rows, in, out;
  };
  for (const Shape& s : {Shape{1, 112, 48, 80}, Shape{3, 64, 128, 176}, Shape{1, 512, 256, 768}}) {
    CAPTURE(s.in);
    const Tensor x = gpu_bf16({s.members, 2, s.rows / 2, s.in}, 1),
                 w = gpu_bf16({s.members, s.out, s.in}, 2),
                 up = gpu_bf16({s.members, 2, s.rows / 2, s.out}, 3);
    const Fp8Result units = run(x, w, up, true), simulated = run(x, w, up, false);
    // Outputs in bf16 either way; the forward pass adds in the units' own precision.
    CHECK(distance(units.y.cpu(), simulated.y.cpu()) < 8e-3);
    CHECK(distance(units.dx.cpu(), simulated.dx.cpu()) < 6e-3);
    CHECK(distance(units.dw.cpu(), simulated.dw.cpu()) < 2e-3);
    CHECK(same_bits(run(x, w, up, true).dw, units.dw));
  }
}

namespace {

struct MlpResult {
  Tensor y, dx, first, second;
};

MlpResult run_mlp(const std::function<Tensor(const Tensor&, const Mlp&)>& op, Activation kind,
                  const Tensor& x, const Tensor& first, const Tensor& second, const Tensor& up) {
  const auto weight = [](const Tensor& value, double A) {
    return fp8_weight(value, A, 0.5, "e5m2 scale=0.5", true);
  };
  const Mlp m{.kind = kind,
              .activation = {.slope = 1.5, .forward = 0.75, .backward = 0.5},
              .first = weight(first, 0.125),
              .second = weight(second, 0.25)};
  CHECK(cuda::fits_fp8_mlp(x, m));
  const Tensor input = x.clone().requires_grad_();
  const Tensor y = op(input, m);
  y.backward(up);
  return {y.detach(), input.grad(), m.first.gradient, m.second.gradient};
}

}  // namespace

TEST_CASE("fp8 on the GPU: an ffn has the bits of its three ops") {
  if (no_gpu()) return;
  struct Shape {
    int64_t members, rows, width, inner;
  };
  for (const Shape& s : {Shape{1, 112, 48, 80}, Shape{3, 64, 128, 176}, Shape{1, 2048, 256, 704}})
    for (const Activation kind :
         {Activation::swiglu, Activation::geglu, Activation::gelu, Activation::relu2}) {
      CAPTURE(s.inner);
      CAPTURE(static_cast<int>(kind));
      const int64_t parts = kind == Activation::swiglu || kind == Activation::geglu ? 2 : 1;
      const Tensor x = gpu_bf16({s.members, 2, s.rows / 2, s.width}, 1),
                   first = gpu_bf16({s.members, parts * s.inner, s.width}, 2),
                   second = gpu_bf16({s.members, s.width, s.inner}, 3),
                   up = gpu_bf16({s.members, 2, s.rows / 2, s.width}, 4);
      const MlpResult fused = run_mlp(mlp, kind, x, first, second, up),
                      ops = run_mlp(mlp_plain, kind, x, first, second, up);
      CHECK(same_bits(fused.y, ops.y));
      CHECK(same_bits(fused.dx, ops.dx));
      CHECK(same_bits(fused.first, ops.first));
      CHECK(same_bits(fused.second, ops.second));
    }
}

TEST_CASE("fp8 on the GPU: the map before attention has the bits of two ops") {
  if (no_gpu()) return;
  struct Shape {
    int64_t members, time, heads, kv_heads, head_dim, width;
  };
  for (const Shape& s :
       {Shape{1, 1040, 3, 3, 64, 192}, Shape{2, 160, 4, 2, 128, 128}, Shape{1, 272, 2, 1, 32, 64},
        Shape{1, 512, 4, 4, 128, 512}, Shape{1, 48, 1, 1, 256, 64}}) {
    CAPTURE(s.head_dim);
    const AttentionOptions o{.heads = s.heads,
                             .kv_heads = s.kv_heads,
                             .head_dim = s.head_dim,
                             .logit = 0.1,
                             .forward = 1.25,
                             .backward = 0.75};
    const Tensor x = gpu_bf16({s.members, 2, s.time, s.width}, 1),
                 value = gpu_bf16({s.members, (s.heads + 2 * s.kv_heads) * s.head_dim, s.width}, 2),
                 up = gpu_bf16({s.members, 2, s.time, s.heads * s.head_dim}, 3);
    const Rope rope = make_rope(s.time, s.head_dim, x.options().dtype(at::kFloat));
    const auto run = [&](bool fused) {
      const Weight w = fp8_weight(value, 0.125, 3.0, "e5m2 scale=4", true);
      CHECK(cuda::fits_fp8_attention(x, w, o));
      const Tensor input = x.clone().requires_grad_();
      const Tensor y =
          fused ? mapped_attention(input, w, rope, o) : attention(linear(input, w), rope, o);
      y.backward(up);
      return Fp8Result{y.detach(), input.grad(), w.gradient};
    };
    const Fp8Result one = run(true), two = run(false);
    CHECK(same_bits(one.y, two.y));
    CHECK(same_bits(one.dx, two.dx));
    CHECK(same_bits(one.dw, two.dw));
  }
}

TEST_CASE("fp8 on the GPU: shapes that the units do not take are simulated") {
  if (no_gpu()) return;
  const Tensor x = gpu_bf16({1, 1, 20, 48}, 1), w = gpu_bf16({1, 32, 48}, 2),
               up = gpu_bf16({1, 1, 20, 32}, 3);
  const Fp8Result a = run(x, w, up, true), b = run(x, w, up, false);
  CHECK(same_bits(a.y, b.y));
  CHECK(same_bits(a.dw, b.dw));
}
#endif
