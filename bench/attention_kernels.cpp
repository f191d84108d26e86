// Attention's kernels for heads of 64 (wide_heads.h) beside those of other short heads
// (small_attention.h), on one stream and in allocations of their own, for sanitizers and a quick
// look: `attention_kernels check` runs them at shapes that reach all of their forms
// (compute-sanitizer --tool memcheck|racecheck), `attention_kernels time` takes their times. That
// what they give is right is tests/ops/cuda_attention_test.cpp's to say.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>

#include "device_buffers.h"
#include "kernel_clock.h"
#include "ops/cuda/hopper/wide_heads.h"
#include "ops/cuda/small_attention.h"

using namespace rung;
using namespace rung::cuda;

namespace {

bool timed = false;

// Runs it, and where asked for says its time.
template <class Launch>
void run(const char* what, const Launch& launch) {
  launch();
  check_cuda(cudaDeviceSynchronize());
  if (timed) std::printf("  %-32s %8.1f us\n", what, least_microseconds(launch));
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
      [&] { wide_heads_forward(wide, qkv, nullptr, 0.9f, out, lse, nullptr); });
  run("and turned rows written",
      [&] { wide_heads_forward(wide, qkv, turned, 0.9f, out, lse, nullptr); });
  const WideHeadsBackward of{.qkv = qkv,
                             .out = out,
                             .dout = dout,
                             .lse = lse,
                             .value = 0.9f,
                             .qk = 0.8f,
                             .gradient = 0.7f,
                             .dqkv = dqkv,
                             .scratch = scratch};
  run("backward", [&] { wide_heads_backward(wide, of, nullptr); });
}

// Tiles full and partly filled, two and four warpgroups a block.
void check() {
  for (const int64_t time : {65, 100, 256, 300, 512}) heads_of_64(2, time, 3);
}

void time_all() {
  timed = true;
  for (const int64_t sequences : {16, 64})
    for (const int64_t time : {128, 256, 512}) heads_of_64(sequences, time, 4);
}

}  // namespace

int main(int argc, char** argv) {
  const char* const what = argc > 1 ? argv[1] : "";
  try {
    if (std::strcmp(what, "check") == 0)
      check();
    else if (std::strcmp(what, "time") == 0)
      time_all();
    else
      return std::printf("attention_kernels check|time\n"), 2;
    return 0;
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
