// What the kernels of recurrence.h share.
#pragma once
#include "ops/cuda/async.cuh"
#include "ops/cuda/mma.cuh"
#include "ops/cuda/recurrence.h"

namespace rung::cuda {

constexpr int chunk_steps = static_cast<int>(recurrence_chunk);

// Eight elements between rows in shared memory keep ldmatrix free of bank conflicts.
template <int D>
constexpr int pitch = D + 8;

struct Chunked {
  int batch, time, heads, groups, keys, values, chunks, each, gate_stride;
  __device__ int splits() const { return heads / groups / each; }
};

inline Chunked chunked_of(const RecurrenceShape& s) {
  const auto small = [](int64_t x) { return static_cast<int>(x); };
  return {small(s.batch),    small(s.time),   small(s.heads),
          small(s.groups),   small(s.keys),   small(s.values),
          small(s.chunks()), small(s.each()), small(s.gate_stride ? s.gate_stride : s.heads)};
}

// A chunk of one head or group of a sequence.
struct Place {
  int sequence, chunk;
  int64_t first;  // step, all sequences counted
  int steps;      // of the chunk that are real
  __device__ Place(const Chunked& s, int sequence_, int chunk_)
      : sequence(sequence_),
        chunk(chunk_),
        first(static_cast<int64_t>(sequence_) * s.time + chunk_ * chunk_steps),
        steps(min(chunk_steps, s.time - chunk_ * chunk_steps)) {}
  __device__ int64_t line(const Chunked& s, int head) const {
    return static_cast<int64_t>(sequence) * s.heads + head;
  }
  // Of a line's numbers by chunk.
  __device__ int64_t block(const Chunked& s, int head) const {
    return line(s, head) * s.chunks + chunk;
  }
};

// `rows` rows of D elements into shared memory; zeros beyond `real_rows` and `columns`.
template <int D>
__device__ void load_rows(bf16* to, const bf16* from, int64_t stride, int rows, int real_rows,
                          int columns) {
  constexpr int slots = D / 8;
  for (int i = threadIdx.x; i < rows * slots; i += blockDim.x) {
    const int row = i / slots, at = i % slots * 8;
    const bool real = row < real_rows && at < columns;
    copy16(to + row * pitch<D> + at, real ? from + row * stride + at : from, real);
  }
}

// `count` floats, a multiple of four, by the threads from `first` on.
__device__ inline void load_floats(float* to, const float* from, int count, int first) {
  const int i = (static_cast<int>(threadIdx.x) - first) * 4;
  if (i >= 0 && i < count) copy_async<16>(shared_address(to + i), from + i, true);
}

// The C matrices `sum` of this warp's 16 rows, at column `column` of rows in shared memory.
template <int D, int count>
__device__ void put_rows(bf16* rows, int column, const float (&sum)[count][4], int lane) {
#pragma unroll
  for (int n = 0; n < count; ++n)
#pragma unroll
    for (int r = 0; r < 2; ++r)
      *reinterpret_cast<uint32_t*>(rows + (lane / 4 + 8 * r) * pitch<D> + column + 8 * n +
                                   2 * (lane % 4)) = pack2(sum[n][2 * r], sum[n][2 * r + 1]);
}

// `columns` columns from `column` on of this warp's 16 rows, out of shared memory to where they
// exist.
template <int D>
__device__ void write_rows(bf16* to, int64_t stride, const bf16* rows, int column, int columns,
                           int real_rows, int real_columns, int lane) {
  const int slots = columns / 8;
  for (int i = lane; i < 16 * slots; i += 32) {
    const int row = i / slots, at = column + i % slots * 8;
    if (row < real_rows && at < real_columns)
      *reinterpret_cast<uint4*>(to + row * stride + at) =
          *reinterpret_cast<const uint4*>(rows + row * pitch<D> + at);
  }
}

// sum += a times 16 rows: the k of the product is along the rows, blocks of 16 columns from
// `first` on.
template <int fixed, int count>
__device__ void add_product(float (&sum)[count][4], const Quad& a, const Tile<fixed>& rows,
                            int tile, int first) {
#pragma unroll
  for (int n = 0; n < count / 2; ++n) {
    Quad b;
    rows.as_b_of_columns(b, tile, first + n);
    multiply_add(sum + 2 * n, a, b);
  }
}

// sum += a times the transpose of 16 rows, for 16 columns of k.
template <int fixed>
__device__ void add_transposed(float (&sum)[2][4], const Quad& a, const Tile<fixed>& rows, int tile,
                               int k) {
  Quad b;
  rows.as_b_of_rows(b, tile, k);
  multiply_add(sum, a, b);
}

// Two neighbours along k of a B matrix whose columns 0 and 1 are the leading and the remaining
// digits of a column of fp32 numbers, and whose others are zero: a product with it keeps fp32's
// digits of the column in columns 0 and 1 of its C.
__device__ inline uint32_t split_column(float x, float y, int lane) {
  const float high_x = rounded<bf16>(x), high_y = rounded<bf16>(y);
  const int g = lane / 4;
  return g == 0 ? pack2(high_x, high_y) : g == 1 ? pack2(x - high_x, y - high_y) : 0u;
}

// Allows `bytes` of shared memory a block.
template <class Kernel>
void allow_memory(Kernel kernel, int bytes) {
  if (bytes > 48 * 1024)
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

// Calls f with the padded numbers of keys and values, and whether there is a normaliser.
template <class F>
void with_sizes(const RecurrenceShape& s, F&& f) {
  const auto keys = [&](auto values, auto normalised) {
    if (s.wide_keys() == 64)
      f(std::integral_constant<int, 64>(), values, normalised);
    else
      f(std::integral_constant<int, 128>(), values, normalised);
  };
  const auto values = [&](auto normalised) {
    if (s.wide_values() == 32)
      keys(std::integral_constant<int, 32>(), normalised);
    else if (s.wide_values() == 64)
      keys(std::integral_constant<int, 64>(), normalised);
    else
      keys(std::integral_constant<int, 128>(), normalised);
  };
  if (s.normalised)
    values(std::true_type());
  else
    values(std::false_type());
}

}  // namespace rung::cuda
