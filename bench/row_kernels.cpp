// Kernels that are bound by the bytes of wide models' rows, alone: norms, curves and rotation.
// `row_kernels norms|curves|rotation` runs them at shapes that reach all of their forms
// (compute-sanitizer --tool memcheck|racecheck), `row_kernels time` takes their times. That what
// they give is right is tests/ops/cuda_test.cpp's to say.
#include <cuda_runtime_api.h>

#include <cstdio>

#include "device_buffers.h"
#include "kernel_runs.h"
#include "ops/cuda/kernels.h"

using namespace rung;
using namespace rung::cuda;

namespace {

void norm(int64_t members, int64_t rows, int64_t width, bool gained) {
  std::printf("norm P=%ld %ld x %ld%s\n", members, rows, width, gained ? " with a gain" : "");
  Buffers b;
  const NormShape shape{members, rows, width, 1e-6f, gained, width};
  const int64_t count = members * rows * width;
  void *const h = b.halves(count), *const dy = b.halves(count), *const dh = b.halves(count),
              *const y = b.halves(count), *const dx = b.halves(count), *const df = b.halves(count);
  void* const gain = gained ? b.halves(members * width) : nullptr;
  float *const mean = b.zeros(members * rows), *const rstd = b.zeros(members * rows),
               *const dgain = gained ? b.zeros(members * width) : nullptr,
               *const partial = gained ? b.zeros(members * norm_blocks(shape) * width) : nullptr;
  const double bytes = 2.0 * static_cast<double>(count);
  run("forward", 2.0 * bytes, [&] {
    add_norm_forward(Type::bf16, shape, h, nullptr, 1.0f, 1.0f, gain, nullptr, y, mean, rstd,
                     nullptr);
  });
  run("forward, added", 4.0 * bytes, [&] {
    add_norm_forward(Type::bf16, shape, h, dy, 0.8f, 0.6f, gain, dh, y, mean, rstd, nullptr);
  });
  for (const bool branched : {false, true}) {
    const NormGradient gradient{.dy = dy,
                                .dh = dh,
                                .dh_factor = 0.9f,
                                .input_gradient = 0.7f,
                                .skip = 0.8f,
                                .branch = 0.6f,
                                .dx = dx,
                                .df = branched ? df : nullptr,
                                .dgain = dgain,
                                .dgain_stride = width,
                                .partial = partial};
    run(branched ? "backward, branch" : "backward", (branched ? 5.0 : 4.0) * bytes, [&] {
      norm_backward(Type::bf16, shape, h, gained ? mean : nullptr, rstd, gain, gradient, nullptr);
    });
  }
}

void curve(int64_t rows, int64_t width, Curve kind) {
  const int64_t parts = kind == Curve::swiglu || kind == Curve::geglu ? 2 : 1;
  std::printf("curve %ld x %ld, %ld of its columns an input\n", rows, width, parts);
  Buffers b;
  const int64_t count = rows * width;
  void *const x = b.halves(parts * count), *const y = b.halves(count), *const dy = b.halves(count);
  const double bytes = 2.0 * static_cast<double>(count), p = static_cast<double>(parts);
  run("forward", (p + 1.0) * bytes,
      [&] { activation_forward(Type::bf16, kind, rows, width, x, 1.1f, 1.7f, y, nullptr); });
  run("backward, in place", (2.0 * p + 1.0) * bytes,
      [&] { activation_backward(Type::bf16, kind, rows, width, x, dy, 1.1f, 1.7f, x, nullptr); });
}

void rotate(const RopeShape& s) {
  std::printf("rotation, %ld sequences of %ld, %ld and %ld heads of %ld\n", s.sequences, s.time,
              s.heads, s.kv_heads, s.head_dim);
  Buffers b;
  const int64_t rows = s.sequences * s.time, q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim,
                angles = s.time * s.head_dim / 2;
  void *const dq = b.halves(rows * q), *const dk = b.halves(rows * kv),
              *const dv = b.halves(rows * kv), *const packed = b.halves(rows * (q + 2 * kv)),
              *const copy = b.halves(rows * (q + 2 * kv));
  float *const cosine = b.zeros(angles), *const sine = b.zeros(angles);
  const double bytes = 2.0 * static_cast<double>(rows * (q + 2 * kv)),
               turned = 2.0 * static_cast<double>(rows * (q + kv));
  run("forward", 2.0 * bytes,
      [&] { rope_forward(Type::bf16, s, packed, cosine, sine, 0.9f, copy, nullptr); });
  if (s.fast == s.head_dim / 2)
    run("in place", 2.0 * turned,
        [&] { rope_in_place(Type::bf16, s, packed, cosine, sine, nullptr); });
  run("backward", 2.0 * bytes,
      [&] { rope_backward(Type::bf16, s, dq, dk, dv, cosine, sine, 0.7f, 0.9f, packed, nullptr); });
}

// Every number of lanes a row, rows that fill them and do not, blocks of several rows a group.
void check_norms() {
  for (const int64_t width : {16, 64, 104, 256, 336, 512, 768, 1000, 1024, 1536, 2048, 3000, 4096})
    for (const bool gained : {false, true}) {
      norm(1, 64, width, gained);
      norm(3, 37, width, gained);
    }
  norm(1, 4100, 512, true);
  norm(1, 4100, 2048, true);
}

void check_curves() {
  for (const Curve kind : {Curve::swiglu, Curve::geglu, Curve::gelu, Curve::relu2}) {
    curve(128, 64, kind);
    curve(37, 88, kind);
  }
}

void check_rotation() {
  rotate({2, 64, 2, 2, 64, 32});
  rotate({3, 35, 3, 1, 24, 12});
  rotate({2, 40, 2, 2, 32, 8});
}

void time_all() {
  timed = true;
  norm(1, 16384, 2048, false);
  norm(1, 32768, 768, false);
  norm(1, 32768, 512, false);
  curve(16384, 5632, Curve::swiglu);
  rotate({8, 2048, 16, 16, 128, 64});
}

}  // namespace

int main(int argc, char** argv) {
  return run_choice(argc, argv,
                    {{"norms", check_norms},
                     {"curves", check_curves},
                     {"rotation", check_rotation},
                     {"time", time_all}});
}
