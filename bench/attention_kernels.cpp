// Attention's kernels for short heads (small_attention.h) and for heads of 64 (wide_heads.h) alone,
// on one stream and in allocations of their own, for sanitizers and a quick look:
// `attention_kernels short|wide` runs them at shapes that reach all of their forms
// (compute-sanitizer --tool memcheck|racecheck), `attention_kernels time` takes their times. That
// what they give is right is tests/ops/cuda_attention_test.cpp's to say.
#include <cuda_runtime_api.h>

#include <cstdio>

#include "device_buffers.h"
#include "kernel_runs.h"
#include "ops/cuda/hopper/wide_heads.h"
#include "ops/cuda/small_attention.h"

using namespace rung;
using namespace rung::cuda;

namespace {

void short_heads(int64_t sequences, int64_t time, int64_t heads, int64_t head_dim,
                 bool offset = false) {
  std::printf("%ld sequences of %ld, %ld heads of %ld\n", sequences, time, heads, head_dim);
  Buffers b;
  const int64_t rows = sequences * time, width = heads * head_dim;
  const SmallAttention shape{
      .rope = {sequences, time, heads, heads, head_dim, head_dim / (offset ? 4 : 2)},
      .logit = 0.2f,
      .cosine = b.zeros(time * head_dim / 2),
      .sine = b.zeros(time * head_dim / 2)};
  void *const qkv = b.halves(3 * rows * width), *const out = b.halves(rows * width),
              *const dout = b.halves(rows * width), *const dqkv = b.halves(3 * rows * width);
  float* const lse = b.zeros(rows * heads);
  run("forward", [&] { small_attention_forward(shape, qkv, 0.9f, out, lse, nullptr); });
  run("backward", [&] {
    small_attention_backward(shape, qkv, out, lse, dout, 0.9f, 0.8f, 0.7f, dqkv, nullptr);
  });
}

void heads_of_64(int64_t sequences, int64_t time, int64_t heads) {
  constexpr int64_t head_dim = 64;
  std::printf("%ld sequences of %ld, %ld heads of %ld\n", sequences, time, heads, head_dim);
  Buffers b;
  const int64_t rows = sequences * time, width = heads * head_dim;
  const RopeShape rope{sequences, time, heads, heads, head_dim, head_dim / 2};
  const float *const cosine = b.zeros(time * head_dim / 2), *const sine =
                                                                b.zeros(time * head_dim / 2);
  void *const qkv = b.halves(3 * rows * width), *const turned = b.halves(3 * rows * width),
              *const out = b.halves(rows * width), *const dout = b.halves(rows * width),
              *const dqkv = b.halves(3 * rows * width);
  float *const lse = b.zeros(rows * heads), *const scratch = b.zeros(wide_heads_scratch(rope));
  int* const counters = reinterpret_cast<int*>(b.zeros(wide_counters));
  const SmallAttention small{rope, 0.2f, cosine, sine};
  if (timed && fits_small_attention(rope)) {
    run("short heads, forward",
        [&] { small_attention_forward(small, qkv, 0.9f, out, lse, nullptr); });
    run("backward", [&] {
      small_attention_backward(small, qkv, out, lse, dout, 0.9f, 0.8f, 0.7f, dqkv, nullptr);
    });
  }
  const WideHeads wide{rope, 0.2f, cosine, sine};
  run("heads of 64, forward",
      [&] { wide_heads_forward(wide, qkv, nullptr, 0.9f, out, lse, nullptr, nullptr); });
  run("and turned rows written",
      [&] { wide_heads_forward(wide, qkv, turned, 0.9f, out, lse, counters, nullptr); });
  const WideHeadsBackward of{.qkv = qkv,
                             .out = out,
                             .dout = dout,
                             .lse = lse,
                             .value = 0.9f,
                             .qk = 0.8f,
                             .gradient = 0.7f,
                             .dqkv = dqkv,
                             .scratch = scratch,
                             .counters = counters};
  run("backward", [&] { wide_heads_backward(wide, of, nullptr); });
}

void check_short() {
  for (const int64_t sequences : {1, 50, 80}) {  // by block, by warp, many heads
    short_heads(sequences, 77, 2, 16);
    short_heads(sequences, 130, 2, 32);
  }
  short_heads(80, 130, 2, 32, true);
  short_heads(2, 256, 2, 64);
}

// Tiles full and partly filled; two and four warpgroups a block, keys alone kept; more pieces of
// work than blocks.
void check_wide() {
  for (const int64_t time : {65, 100, 256, 300, 512, 600, 1024}) heads_of_64(2, time, 3);
  heads_of_64(60, 130, 3);
}

void time_all() {
  timed = true;
  for (const int64_t members : {32, 1})
    for (const int64_t head_dim : {16, 32}) short_heads(16 * members, 256, 4, head_dim);
  for (const int64_t sequences : {16, 64})
    for (const int64_t time : {128, 256, 512, 1024}) heads_of_64(sequences, time, 4);
}

}  // namespace

int main(int argc, char** argv) {
  return run_choice(argc, argv, {{"short", check_short}, {"wide", check_wide}, {"time", time_all}});
}
