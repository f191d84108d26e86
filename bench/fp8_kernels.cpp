// The kernels that make FP8 codes alone, on one stream and in allocations of their own, without any
// kernel of a library beside them: `fp8_kernels check` runs them at shapes that reach all of their
// forms (compute-sanitizer --tool memcheck|racecheck), `fp8_kernels time` takes their times at the
// shapes of the 1.16B case. That what they give is right is tests/ops/cuda_fp8_test.cpp's to say.
#include <cuda_runtime_api.h>

#include <cstdio>

#include "device_buffers.h"
#include "kernel_runs.h"
#include "ops/cuda/fp8_casts.h"

using namespace rung;
using namespace rung::cuda;

namespace {

Fp8Shape shape_of(int64_t members, int64_t rows, int64_t columns, bool e5m2) {
  return {.members = members,
          .rows = rows,
          .columns = columns,
          .stride = rows * columns,
          .e5m2 = e5m2,
          .scale = 1.5f};
}

void cast(int64_t members, int64_t rows, int64_t columns, bool e5m2) {
  std::printf("cast P=%ld %ld x %ld to %s\n", members, rows, columns, e5m2 ? "E5M2" : "E4M3");
  Buffers b;
  const int64_t count = members * rows * columns;
  Fp8Shape shape = shape_of(members, rows, columns, e5m2);
  void *const x = b.halves(count), *const y = b.codes(count), *const turned = b.codes(count);
  const double all = static_cast<double>(count);
  run("both ways", 4.0 * all, [&] { cast_fp8(Type::bf16, shape, x, y, turned, nullptr); });
  run("codes turned", 2.0 * all, [&] { turn_fp8(shape, y, turned, nullptr); });
  shape.factor = 0.7f;
  run("rows, with a factor", 3.0 * all,
      [&] { cast_fp8(Type::bf16, shape, x, y, nullptr, nullptr); });
}

void activation(int64_t members, int64_t rows, int64_t columns, Curve curve) {
  const int64_t parts = curve == Curve::swiglu || curve == Curve::geglu ? 2 : 1;
  std::printf("activation P=%ld %ld x %ld, %ld of its columns an input\n", members, rows, columns,
              parts);
  Buffers b;
  const int64_t count = members * rows * columns;
  void *const h = b.halves(parts * count), *const dout = b.halves(count), *const y = b.codes(count),
              *const turned = b.codes(count), *const dh = b.codes(parts * count),
              *const dh_turned = b.codes(parts * count);
  const double all = static_cast<double>(count), p = static_cast<double>(parts);
  run("forward", (2.0 * p + 2.0) * all, [&] {
    cast_fp8_activation(Type::bf16, curve, shape_of(members, rows, columns, false), h, 1.1f, 1.7f,
                        y, turned, nullptr);
  });
  run("backward", (4.0 * p + 2.0) * all, [&] {
    cast_fp8_activation_gradient(Type::bf16, curve, shape_of(members, rows, columns, true), h, dout,
                                 1.1f, 1.7f, dh, dh_turned, nullptr);
  });
}

void norm(int64_t members, int64_t rows, int64_t width) {
  std::printf("norm P=%ld %ld x %ld\n", members, rows, width);
  Buffers b;
  const NormShape shape{members, rows, width, 1e-6f, false, 0};
  const int64_t count = members * rows * width;
  void *const h = b.halves(count), *const dy = b.halves(count), *const dh = b.halves(count),
              *const dx = b.halves(count), *const codes = b.codes(count),
              *const turned = b.codes(count);
  float* const rstd = b.zeros(members * rows);
  const double all = static_cast<double>(count);
  run("forward, rows", 3.0 * all,
      [&] { cast_fp8_norm(shape, 1.5f, h, nullptr, codes, nullptr, nullptr); });
  run("forward", 4.0 * all, [&] { cast_fp8_norm(shape, 1.5f, h, rstd, codes, turned, nullptr); });
  for (const bool elsewhere : {false, true}) {
    const NormGradient gradient{.dy = dy,
                                .dh = elsewhere ? dh : nullptr,
                                .dh_factor = 0.9f,
                                .input_gradient = 0.7f,
                                .skip = 0.8f,
                                .branch = 0.6f,
                                .dx = dx,
                                .df = nullptr,
                                .dgain = nullptr,
                                .dgain_stride = 0,
                                .partial = nullptr};
    run(elsewhere ? "backward" : "backward, dy alone", (elsewhere ? 10.0 : 8.0) * all,
        [&] { cast_fp8_norm_gradient(shape, 1.5f, h, rstd, gradient, codes, turned, nullptr); });
  }
}

void rope(int64_t members, int64_t sequences, const RopeShape& shape) {
  std::printf("rotation P=%ld, %ld sequences of %ld, %ld and %ld heads of %ld\n", members,
              sequences, shape.time, shape.heads, shape.kv_heads, shape.head_dim);
  Buffers b;
  const int64_t rows = sequences * shape.time, q = shape.heads * shape.head_dim,
                kv = shape.kv_heads * shape.head_dim, columns = q + 2 * kv,
                count = members * rows * columns;
  void *const dq = b.halves(members * rows * q), *const dk = b.halves(members * rows * kv),
              *const dv = b.halves(members * rows * kv), *const codes = b.codes(count),
              *const turned = b.codes(count);
  float *const cosine = b.zeros(shape.time * shape.head_dim / 2), *const sine =
                                                                      b.zeros(shape.time *
                                                                              shape.head_dim / 2);
  run("backward", 4.0 * static_cast<double>(count), [&] {
    cast_fp8_rope_gradient(Type::bf16, shape_of(members, rows, columns, true), shape, dq, dk, dv,
                           cosine, sine, 0.7f, 0.9f, codes, turned, nullptr);
  });
}

// Tiles that are full and not, members, every width of the norms' rows in registers.
void check_all() {
  for (const bool e5m2 : {false, true}) {
    cast(1, 64, 64, e5m2);
    cast(3, 80, 208, e5m2);
    cast(1, 16, 16, e5m2);
  }
  for (const Curve curve : {Curve::swiglu, Curve::geglu, Curve::gelu, Curve::relu2}) {
    activation(1, 128, 64, curve);
    activation(3, 48, 176, curve);
  }
  for (const int64_t width : {16, 336, 512, 768, 2048, 2064, 4096}) {
    norm(1, 64, width);
    norm(3, 48, width);
  }
  rope(1, 2, {2, 64, 2, 2, 64, 32});
  rope(2, 3, {6, 48, 4, 2, 32, 16});
  rope(1, 2, {2, 80, 2, 1, 256, 128});
}

void time_all() {
  timed = true;
  constexpr int64_t rows = 16384, width = 2048, inner = 5632;
  cast(1, rows, width, false);
  cast(1, 2 * inner, width, false);
  activation(1, rows, inner, Curve::swiglu);
  norm(1, rows, width);
  rope(1, 8, {8, 2048, 16, 16, 128, 64});
}

}  // namespace

int main(int argc, char** argv) {
  return run_choice(argc, argv, {{"check", check_all}, {"time", time_all}});
}
