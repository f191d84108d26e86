// Products on FP8 units beside the simulated ones, which round alike.
#ifdef RUNG_CUDA
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones_like.h>

#include <cmath>

#include "ops/attention.h"
#include "ops/cuda/fp8.h"
#include "ops/cuda/fused.h"
#include "ops/linear.h"
#include "ops/mlp.h"
#include "ops/stream_attention.h"
#include "support/no_gpu.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Result {
  Tensor y, dx, dw;
};

// Of a map in FP8, its gradient to be added to ones.
Weight fp8_weight(const Tensor& value, double A, double A_weight, const std::string& gradient,
                  bool hardware) {
  Weight w{.value = value,
           .gradient = at::ones_like(value, value.options().dtype(at::kFloat)),
           .A = A,
           .A_input = 2.0 * A,
           .A_weight = A_weight};
  w.formats = std::make_shared<const MapFormats>(
      MapFormats{.weight = parse_quantiser("e4m3", "test"),
                 .activation = parse_quantiser("e4m3 scale=2", "test"),
                 .gradient = parse_quantiser(gradient, "test"),
                 .hardware = hardware});
  return w;
}

// `kept`: the weight's codes are beside it, and its value is lost.
Result run(const Tensor& x, const Tensor& value, const Tensor& upstream, bool hardware,
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
    const auto of = [](std::initializer_list<int64_t> sizes, uint64_t seed) {
      return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
    };
    const Tensor x = of({3, 1, rows, 48}, 1), w = of({3, 80, 48}, 2), up = of({3, 1, rows, 80}, 3);
    const Result want = run(x, w, up, true), got = run(x, w, up, true, true);
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
    const auto of = [](std::initializer_list<int64_t> sizes, uint64_t seed) {
      return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
    };
    const Tensor x = of({s.members, 2, s.rows / 2, s.in}, 1), w = of({s.members, s.out, s.in}, 2),
                 up = of({s.members, 2, s.rows / 2, s.out}, 3);
    const Result units = run(x, w, up, true), simulated = run(x, w, up, false);
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
      const auto of = [](std::initializer_list<int64_t> sizes, uint64_t seed) {
        return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
      };
      const Tensor x = of({s.members, 2, s.rows / 2, s.width}, 1),
                   first = of({s.members, parts * s.inner, s.width}, 2),
                   second = of({s.members, s.width, s.inner}, 3),
                   up = of({s.members, 2, s.rows / 2, s.width}, 4);
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
       {Shape{1, 304, 3, 3, 64, 192}, Shape{2, 160, 4, 2, 128, 128}, Shape{1, 272, 2, 1, 32, 64},
        Shape{1, 512, 4, 4, 128, 512}, Shape{1, 48, 1, 1, 256, 64}}) {
    CAPTURE(s.head_dim);
    const auto of = [](std::initializer_list<int64_t> sizes, uint64_t seed) {
      return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
    };
    const AttentionOptions o{.heads = s.heads,
                             .kv_heads = s.kv_heads,
                             .head_dim = s.head_dim,
                             .logit = 0.1,
                             .forward = 1.25,
                             .backward = 0.75};
    const Tensor x = of({s.members, 2, s.time, s.width}, 1),
                 value = of({s.members, (s.heads + 2 * s.kv_heads) * s.head_dim, s.width}, 2),
                 up = of({s.members, 2, s.time, s.heads * s.head_dim}, 3);
    const Rope rope = make_rope(s.time, s.head_dim, x.options().dtype(at::kFloat));
    const auto run = [&](bool fused) {
      const Weight w = fp8_weight(value, 0.125, 3.0, "e5m2 scale=4", true);
      CHECK(cuda::fits_fp8_attention(x, w, o));
      const Tensor input = x.clone().requires_grad_();
      const Tensor y =
          fused ? mapped_attention(input, w, rope, o) : attention(linear(input, w), rope, o);
      y.backward(up);
      return Result{y.detach(), input.grad(), w.gradient};
    };
    const Result one = run(true), two = run(false);
    CHECK(same_bits(one.y, two.y));
    CHECK(same_bits(one.dx, two.dx));
    CHECK(same_bits(one.dw, two.dw));
  }
}

namespace {

// 2-norm of the difference over that of b.
double error_of(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  return (x - y).norm().item<double>() / y.norm().item<double>();
}

enum class Way { fused, ops, exact };

// Output, gradients of x and of both matrices, and of f and its map. Exact: in fp64, no codes.
std::vector<Tensor> step_of(Way way, const Tensor& x, const Tensor& f, const Tensor& map,
                            const Tensor& first, const Tensor& second, const Tensor& up) {
  const bool exact = way == Way::exact;
  const auto as = [&](const Tensor& t) { return exact ? t.to(at::kDouble) : t; };
  const auto weight = [&](const Tensor& value, double A) {
    Weight w = fp8_weight(as(value), A, 0.5, "e5m2 scale=8", true);
    if (!exact) return w;
    w.gradient = at::ones_like(w.value);
    w.formats = nullptr;
    return w;
  };
  const Mlp m{.kind = Activation::swiglu,
              .activation = {.slope = 1.5, .forward = 0.75, .backward = 0.5},
              .first = weight(first, 0.0625),
              .second = weight(second, 0.0625)};
  ResidualStep step{
      .norm = {.skip = 0.8, .branch = 0.6, .branch_gradient = 0.5, .input_gradient = 0.7},
      .skip = 0.9,
      .branch = 0.4,
      .branch_gradient = 1.2};
  if (f.defined()) step.map = weight(map, 0.0625);
  const Tensor in = as(x).clone().requires_grad_(),
               values = f.defined() ? as(f).clone().requires_grad_() : Tensor();
  CHECK(exact != cuda::fits_fp8_step(in, values, m, step));
  const Tensor y = (way == Way::fused ? mlp_step : mlp_step_plain)(in, values, m, step).stream;
  y.backward(as(up));
  std::vector<Tensor> results{y.detach(), in.grad(), m.first.gradient, m.second.gradient};
  if (f.defined()) {
    results.push_back(values.grad());
    results.push_back(step.map.gradient);
  }
  return results;
}

}  // namespace

TEST_CASE("fp8 on the GPU: a step of the stream is as near to fp64 as its ops") {
  if (no_gpu()) return;
  struct Shape {
    int64_t members, rows, width, inner;
  };
  for (const Shape& s :
       {Shape{1, 112, 48, 80}, Shape{3, 64, 208, 176}, Shape{1, 2048, 256, 704},
        Shape{1, 288, 1040, 512}, Shape{1, 256, 2048, 1024}, Shape{1, 64, 4096, 512}})
    for (const bool mapped : {true, false}) {
      CAPTURE(s.width);
      CAPTURE(mapped);
      const auto of = [](std::initializer_list<int64_t> sizes, uint64_t seed) {
        return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
      };
      const Tensor x = of({s.members, 2, s.rows / 2, s.width}, 1),
                   first = of({s.members, 2 * s.inner, s.width}, 2),
                   second = of({s.members, s.width, s.inner}, 3),
                   map = of({s.members, s.width, s.width}, 4),
                   f = mapped ? of({s.members, 2, s.rows / 2, s.width}, 5) : Tensor(),
                   up = of({s.members, 2, s.rows / 2, s.width}, 6);
      const auto run = [&](Way way) { return step_of(way, x, f, map, first, second, up); };
      const auto fused = run(Way::fused), again = run(Way::fused), ops = run(Way::ops),
                 exact = run(Way::exact);
      for (size_t i = 0; i < ops.size(); ++i) {
        CAPTURE(i);
        // A sum that is rounded once, and not twice, moves some codes to a neighbour.
        const double own = error_of(fused[i], exact[i]), theirs = error_of(ops[i], exact[i]);
        CAPTURE(own);
        CAPTURE(theirs);
        CHECK(own < 1.05 * theirs + 1e-3);
        CHECK(own < 0.2);
        CHECK(same_bits(fused[i], again[i]));
      }
    }
}

TEST_CASE("fp8 on the GPU: attention of the stream is norm, map and attention") {
  if (no_gpu()) return;
  struct Shape {
    int64_t members, time, heads, head_dim, width;
  };
  for (const Shape& s : {Shape{1, 304, 3, 64, 192}, Shape{2, 160, 2, 128, 144},
                         Shape{1, 512, 4, 128, 512}, Shape{1, 272, 4, 128, 2048}}) {
    CAPTURE(s.width);
    const auto of = [](std::initializer_list<int64_t> sizes, uint64_t seed) {
      return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
    };
    const AttentionOptions o{.heads = s.heads,
                             .kv_heads = s.heads,
                             .head_dim = s.head_dim,
                             .logit = 0.1,
                             .forward = 1.25,
                             .backward = 0.75};
    const NormOptions norm{.input_gradient = 0.7};
    const Tensor x = of({s.members, 2, s.time, s.width}, 1),
                 value = of({s.members, 3 * s.heads * s.head_dim, s.width}, 2),
                 up = of({s.members, 2, s.time, s.heads * s.head_dim}, 3),
                 around = of({s.members, 2, s.time, s.width}, 4);
    const Rope rope = make_rope(s.time, s.head_dim, x.options().dtype(at::kFloat));
    const auto run = [&](bool fused) {
      const Weight w = fp8_weight(value, 0.125, 3.0, "e5m2 scale=4", true);
      CHECK(fits_stream_attention(x, w, o, norm));
      const Tensor input = x.clone().requires_grad_();
      const auto [h, y] =
          (fused ? stream_attention : stream_attention_plain)(input, norm, w, rope, o);
      CHECK(same_bits(h.detach(), x));
      ((h * around).sum() + (y * up).sum()).backward();
      return Result{y.detach(), input.grad(), w.gradient};
    };
    const Result one = run(true), two = run(false), again = run(true);
    // A norm's sum of squares goes over a row in another order.
    CHECK(error_of(one.y, two.y) < 2e-2);
    CHECK(error_of(one.dx, two.dx) < 2e-2);
    CHECK(error_of(one.dw, two.dw) < 2e-2);
    CHECK(same_bits(one.dx, again.dx));
    CHECK(same_bits(one.dw, again.dw));
  }
}

TEST_CASE("fp8 on the GPU: shapes that the units do not take are simulated") {
  if (no_gpu()) return;
  const auto of = [](std::initializer_list<int64_t> sizes, uint64_t seed) {
    return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
  };
  const Tensor x = of({1, 1, 20, 48}, 1), w = of({1, 32, 48}, 2), up = of({1, 1, 20, 32}, 3);
  const Result a = run(x, w, up, true), b = run(x, w, up, false);
  CHECK(same_bits(a.y, b.y));
  CHECK(same_bits(a.dw, b.dw));
}
#endif
