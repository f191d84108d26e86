#include "ops/cuda/common.cuh"
#include "ops/cuda/group_rows.h"

namespace rung::cuda {
namespace {

constexpr int row_threads = 256;  // a warp a row

struct RowOfGroups {
  int64_t row, member;  // row: all members counted
  bool valid;
  __device__ explicit RowOfGroups(const GroupRows& s)
      : row(static_cast<int64_t>(blockIdx.x) * (row_threads / 32) + threadIdx.x / 32),
        member(row / s.rows),
        valid(row < s.members * s.rows) {}
  // Where copy `rank` begins in the sorted rows.
  __device__ int64_t copy(const GroupRows& s, const int64_t* places, int rank) const {
    return (member * s.rows * s.k + places[row * s.k + rank]) * s.width;
  }
};

template <class T>
__global__ void __launch_bounds__(row_threads)
    gather_rows(GroupRows s, const int64_t* places, const T* y, const float* weights, T* x) {
  const RowOfGroups at(s);
  if (!at.valid) return;
  for (int64_t i = threadIdx.x % 32 * 8; i < s.width; i += 256) {
    float sum[8] = {};
    for (int r = 0; r < s.k; ++r) {
      const float weight = weights != nullptr ? weights[at.row * s.k + r] : 1.0f;
      float from[8];
      load8(y + at.copy(s, places, r) + i, from);
#pragma unroll
      for (int e = 0; e < 8; ++e) sum[e] += weight * from[e];
    }
    store8(x + at.row * s.width + i, sum);
  }
}

template <class T>
__global__ void __launch_bounds__(row_threads)
    spread_rows(GroupRows s, const int64_t* places, const T* y, const float* weights, const T* dx,
                T* dy, float* dweights) {
  const RowOfGroups at(s);
  if (!at.valid) return;
  const int lane = threadIdx.x % 32;
  for (int r = 0; r < s.k; ++r) {
    const int64_t copy = at.copy(s, places, r);
    const float weight = weights[at.row * s.k + r];
    float dot = 0.0f;
    for (int64_t i = lane * 8; i < s.width; i += 256) {
      float d[8], value[8];
      load8(dx + at.row * s.width + i, d);
      load8(y + copy + i, value);
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        dot += d[e] * value[e];
        d[e] *= weight;
      }
      store8(dy + copy + i, d);
    }
    dot = group_sum<32>(dot);
    if (lane == 0) dweights[at.row * s.k + r] = dot;
  }
}

}  // namespace

void gather_group_rows(Type type, const GroupRows& s, const int64_t* places, const void* y,
                       const float* weights, void* x, Stream stream) {
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    gather_rows<T><<<blocks_for(s.members * s.rows, row_threads / 32), row_threads, 0, stream>>>(
        s, places, static_cast<const T*>(y), weights, static_cast<T*>(x));
  });
  check_launch();
}

void spread_group_rows(Type type, const GroupRows& s, const int64_t* places, const void* y,
                       const float* weights, const void* dx, void* dy, float* dweights,
                       Stream stream) {
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    spread_rows<T><<<blocks_for(s.members * s.rows, row_threads / 32), row_threads, 0, stream>>>(
        s, places, static_cast<const T*>(y), weights, static_cast<const T*>(dx),
        static_cast<T*>(dy), dweights);
  });
  check_launch();
}

}  // namespace rung::cuda
