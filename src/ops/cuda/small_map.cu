// Block-diagonal maps with blocks of 4 x 4, a block a thread: the matrix stays in registers while
// the thread walks a stretch of rows.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 128;

struct Map {
  int64_t rows, blocks, parts, stretch;
};

struct Stretch {
  int64_t block, part, member, begin, end;
  __device__ Stretch(const Map& s, int64_t index)
      : block(index % s.blocks),
        part(index / s.blocks % s.parts),
        member(index / s.blocks / s.parts) {
    begin = part * s.stretch;
    end = begin + s.stretch < s.rows ? begin + s.stretch : s.rows;
  }
  __device__ int64_t row(const Map& s, int64_t i) const {
    return ((member * s.rows + i) * s.blocks + block) * 4;
  }
};

__device__ inline void load_matrix(const Map& s, const Stretch& at, const float* weight,
                                   float (&w)[4][4]) {
  const float* own = weight + (at.member * s.blocks + at.block) * 16;
#pragma unroll
  for (int o = 0; o < 4; ++o) load4(own + 4 * o, w[o]);
}

template <class T>
__global__ void __launch_bounds__(threads)
    forward(Map s, int64_t total, const T* x, const float* weight, T* y) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= total) return;
  const Stretch at(s, index);
  float w[4][4];
  load_matrix(s, at, weight, w);
#pragma unroll 4
  for (int64_t i = at.begin; i < at.end; ++i) {
    float in[4], out[4];
    load4(x + at.row(s, i), in);
#pragma unroll
    for (int o = 0; o < 4; ++o)
      out[o] = w[o][0] * in[0] + w[o][1] * in[1] + w[o][2] * in[2] + w[o][3] * in[3];
    store4(y + at.row(s, i), out);
  }
}

template <class T>
__global__ void __launch_bounds__(threads)
    backward(Map s, int64_t total, const T* x, const float* weight, const T* dy, T* dx,
             float* partial) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= total) return;
  const Stretch at(s, index);
  float w[4][4], dw[4][4] = {};
  load_matrix(s, at, weight, w);
#pragma unroll 4
  for (int64_t i = at.begin; i < at.end; ++i) {
    float in[4], d[4], back[4] = {};
    load4(x + at.row(s, i), in);
    load4(dy + at.row(s, i), d);
#pragma unroll
    for (int o = 0; o < 4; ++o)
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        back[k] = fmaf(w[o][k], d[o], back[k]);
        dw[o][k] = fmaf(d[o], in[k], dw[o][k]);
      }
    store4(dx + at.row(s, i), back);
  }
  float* to = partial + index / s.blocks * s.blocks * 16 + at.block * 16;
#pragma unroll
  for (int o = 0; o < 4; ++o) store4(to + 4 * o, dw[o]);
}

// Stretches as short as the sums over them can bear, so that small inputs fill the device.
constexpr int64_t stretch = 64;

Map map_of(const SmallMapShape& s) {
  return {s.rows, s.blocks, small_map_parts(s), stretch};
}

}  // namespace

int64_t small_map_parts(const SmallMapShape& s) {
  return (s.rows + stretch - 1) / stretch;
}

void small_map_forward(Type type, const SmallMapShape& shape, const void* x, const float* weight,
                       void* y, Stream stream) {
  const Map s = map_of(shape);
  const int64_t total = shape.members * s.parts * s.blocks;
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    forward<T><<<blocks_for(total, threads), threads, 0, stream>>>(
        s, total, static_cast<const T*>(x), weight, static_cast<T*>(y));
  });
  check_launch();
}

void small_map_backward(Type type, const SmallMapShape& shape, const void* x, const float* weight,
                        const void* dy, void* dx, float* partial, Stream stream) {
  const Map s = map_of(shape);
  const int64_t total = shape.members * s.parts * s.blocks;
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    backward<T><<<blocks_for(total, threads), threads, 0, stream>>>(
        s, total, static_cast<const T*>(x), weight, static_cast<const T*>(dy), static_cast<T*>(dx),
        partial);
  });
  check_launch();
}

}  // namespace rung::cuda
