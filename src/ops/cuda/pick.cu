// Rows of a large table that each row picks for itself (ops/rows.h). Groups of G lanes share a
// table row; gradients walk the picks in sorted order, as the embedding's do, so that every table
// row has a single writer and a fixed order.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;

// A block a row of x, which waits in shared memory.
template <class T, int G>
__global__ void __launch_bounds__(threads)
    dots(PickShape s, const T* table, const int64_t* index, const T* x, float factor, T* a) {
  extern __shared__ __align__(16) float own[];
  const int64_t row = blockIdx.x, member = row / s.rows;
  for (int64_t i = threadIdx.x * 8; i < s.width; i += threads * 8) {
    float v[8];
    load8(x + row * s.width + i, v);
    store8(own + i, v);
  }
  __syncthreads();
  const int lane = threadIdx.x % G;
  table += member * s.stride;
  // All lanes of a warp take the same number of turns: the sum is over whole warps' groups.
  for (int64_t first = 0; first < s.picks; first += threads / G) {
    const int64_t pick = first + threadIdx.x / G;
    float sum = 0.0f;
    if (pick < s.picks) {
      const T* from = table + index[row * s.picks + pick] * s.width;
      for (int64_t i = lane * 8; i < s.width; i += G * 8) {
        float t[8];
        load8(from + i, t);
#pragma unroll
        for (int k = 0; k < 8; ++k) sum = fmaf(t[k], own[i + k], sum);
      }
    }
    sum = group_sum<G>(sum);
    if (lane == 0 && pick < s.picks) a[row * s.picks + pick] = from_float<T>(factor * sum);
  }
}

// A block a row of y. Groups of width / 8 threads take every groups-th pick; their sums are added
// in order. A block walks rows that are wider than 8 columns a thread.
template <class T>
__global__ void __launch_bounds__(threads)
    sums(PickShape s, int vectors, int groups, const T* table, const int64_t* index, const T* w,
         float factor, T* y) {
  __shared__ float shares[threads * 8];
  const int64_t row = blockIdx.x, member = row / s.rows;
  const int group = threadIdx.x / vectors, vector = threadIdx.x % vectors;
  table += member * s.stride;
  for (int64_t base = 0; base < s.width; base += vectors * 8) {
    const int64_t column = base + vector * 8;
    float sum[8] = {};
    if (group < groups && column < s.width)
      for (int64_t pick = group; pick < s.picks; pick += groups) {
        const float weight = to_float(w[row * s.picks + pick]);
        float t[8];
        load8(table + index[row * s.picks + pick] * s.width + column, t);
#pragma unroll
        for (int k = 0; k < 8; ++k) sum[k] = fmaf(weight, t[k], sum[k]);
      }
    store8(shares + threadIdx.x * 8, sum);
    __syncthreads();
    if (group == 0 && column < s.width) {
      for (int g = 1; g < groups; ++g)
#pragma unroll
        for (int k = 0; k < 8; ++k) sum[k] += shares[(g * vectors + vector) * 8 + k];
#pragma unroll
      for (int k = 0; k < 8; ++k) sum[k] *= factor;
      store8(y + row * s.width + column, sum);
    }
    __syncthreads();
  }
}

// One warp sums one table row's picks; G lanes cover 8 G columns from blockIdx.z * 256 on.
template <class T, int G>
__global__ void __launch_bounds__(threads)
    add(PickShape s, const int64_t* sorted, const int64_t* order, const T* w, const T* x,
        float factor, float* gradient) {
  const int64_t count = s.rows * s.picks, member = blockIdx.y;
  const int lane = threadIdx.x % 32;
  const int64_t column = (blockIdx.z * 32 + lane % G) * 8;
  const int64_t start = static_cast<int64_t>(blockIdx.x) * (threads / 32) + threadIdx.x / 32;
  if (start >= count) return;
  sorted += member * count;
  order += member * count;
  w += member * count;
  x += member * s.rows * s.width;
  const int64_t entry = sorted[start];
  if (start > 0 && sorted[start - 1] == entry) return;
  const bool inside = column < s.width;
  float sum[8] = {};
  for (int64_t first = start; first < count; first += 32) {
    const int64_t mine = first + lane;
    const bool same = mine < count && sorted[mine] == entry;
    const int here = __popc(__ballot_sync(0xffffffffu, same));
    const int64_t place = same ? order[mine] : 0;
    const float weight = same ? to_float(w[place]) : 0.0f;
    const int row = static_cast<int>(place / s.picks);
    for (int i = 0; i < here; i += 32 / G) {
      const int at = i + lane / G, from = at < here ? at : 0;
      const int64_t source = __shfl_sync(0xffffffffu, row, from);
      const float scale = __shfl_sync(0xffffffffu, weight, from);
      if (at < here && inside) {
        float v[8];
        load8(x + source * s.width + column, v);
#pragma unroll
        for (int k = 0; k < 8; ++k) sum[k] = fmaf(scale, v[k], sum[k]);
      }
    }
    if (here < 32) break;
  }
#pragma unroll
  for (int offset = G; offset < 32; offset *= 2)
#pragma unroll
    for (int k = 0; k < 8; ++k) sum[k] += __shfl_xor_sync(0xffffffffu, sum[k], offset);
  if (lane >= G || !inside) return;
  float* to = gradient + member * s.stride + entry * s.width + column;
  float old[8];
  load8(to, old);
#pragma unroll
  for (int k = 0; k < 8; ++k) old[k] += factor * sum[k];
  store8(to, old);
}

// out[row, n] = sum of d[row, j] over index[row, j] == n, in order.
__global__ void __launch_bounds__(threads)
    spread(int64_t total, int64_t count, int64_t picks, const int64_t* index, const float* d,
           float* out) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (at >= total) return;
  const int64_t row = at / count, entry = at % count;
  float sum = 0.0f;
  for (int64_t j = 0; j < picks; ++j)
    if (index[row * picks + j] == entry) sum += d[row * picks + j];
  out[at] = sum;
}

template <class F>
void with_lanes(int64_t width, F&& f) {
  using std::integral_constant;
  if (width <= 32)
    f(integral_constant<int, 4>());
  else if (width <= 64)
    f(integral_constant<int, 8>());
  else if (width <= 128)
    f(integral_constant<int, 16>());
  else
    f(integral_constant<int, 32>());
}

}  // namespace

void pick_dots(Type type, const PickShape& s, const void* table, const int64_t* index,
               const void* x, float factor, void* a, Stream stream) {
  const unsigned blocks = static_cast<unsigned>(s.members * s.rows);
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_lanes(s.width, [&](auto g) {
      dots<T, decltype(g)::value>
          <<<blocks, threads, static_cast<size_t>(s.width) * sizeof(float), stream>>>(
              s, static_cast<const T*>(table), index, static_cast<const T*>(x), factor,
              static_cast<T*>(a));
    });
  });
  check_launch();
}

void pick_sum(Type type, const PickShape& s, const void* table, const int64_t* index, const void* w,
              float factor, void* y, Stream stream) {
  const int vectors = static_cast<int>(s.width / 8 < threads ? s.width / 8 : threads);
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    sums<T><<<static_cast<unsigned>(s.members * s.rows), threads, 0, stream>>>(
        s, vectors, threads / vectors, static_cast<const T*>(table), index,
        static_cast<const T*>(w), factor, static_cast<T*>(y));
  });
  check_launch();
}

void pick_add(Type type, const PickShape& s, const int64_t* sorted, const int64_t* order,
              const void* w, const void* x, float factor, float* gradient, Stream stream) {
  const dim3 grid(blocks_for(s.rows * s.picks, threads / 32), static_cast<unsigned>(s.members),
                  blocks_for(s.width, 256));
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_lanes(s.width, [&](auto g) {
      add<T, decltype(g)::value><<<grid, threads, 0, stream>>>(
          s, sorted, order, static_cast<const T*>(w), static_cast<const T*>(x), factor, gradient);
    });
  });
  check_launch();
}

void spread_sums(int64_t rows, int64_t count, int64_t picks, const int64_t* index, const float* d,
                 float* out, Stream stream) {
  spread<<<blocks_for(rows * count, threads), threads, 0, stream>>>(rows * count, count, picks,
                                                                    index, d, out);
  check_launch();
}

}  // namespace rung::cuda
