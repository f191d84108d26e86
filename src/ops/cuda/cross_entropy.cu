// Softmax cross-entropy in place: a row is read once into registers where it fits, else twice.
#include <cfloat>

#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

struct Row {
  int64_t rows, vocabulary, target_stride, loss_stride;
  int64_t total;
};

// Largest value and sum of exp(x - largest), merged over the threads of a row.
struct Peak {
  float largest, sum;
};

__device__ inline Peak merge(Peak a, Peak b) {
  const float largest = fmaxf(a.largest, b.largest);
  return {largest, a.sum * __expf(a.largest - largest) + b.sum * __expf(b.largest - largest)};
}

template <int threads>
__device__ inline Peak merge_all(Peak peak) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    peak = merge(peak, {__shfl_xor_sync(0xffffffffu, peak.largest, offset),
                        __shfl_xor_sync(0xffffffffu, peak.sum, offset)});
  if constexpr (threads > 32) {
    __shared__ Peak warps[threads / 32];
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = peak;
    __syncthreads();
    peak = warps[0];
#pragma unroll
    for (int w = 1; w < threads / 32; ++w) peak = merge(peak, warps[w]);
  }
  return peak;
}

__device__ inline Peak add(Peak peak, const float (&x)[8]) {
  float largest = x[0];
#pragma unroll
  for (int k = 1; k < 8; ++k) largest = fmaxf(largest, x[k]);
  Peak part{largest, 0.0f};
#pragma unroll
  for (int k = 0; k < 8; ++k) part.sum += __expf(x[k] - largest);
  return merge(peak, part);
}

// `threads` a row (blockDim.y rows a block), V vectors of 8 a thread kept in registers.
template <class T, int threads, int V>
__global__ void __launch_bounds__(threads < 128 ? 128 : threads)
    cached(Row s, T* logits, const int64_t* targets, float scale, float* loss) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= s.total) return;  // whole warps leave together: blockDim.y > 1 only for one warp a row
  const int64_t member = row / s.rows, within = row % s.rows;
  const int64_t target = targets[member * s.target_stride + within];
  const int vectors = static_cast<int>(s.vocabulary / 8);
  T* const line = logits + row * s.vocabulary;
  Raw<T> raw[V];
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int at = threadIdx.x + i * threads;
    if (at < vectors) raw[i] = load_raw(line + at * 8);
  }
  Peak peak{-FLT_MAX, 0.0f};
#pragma unroll
  for (int i = 0; i < V; ++i)
    if (static_cast<int>(threadIdx.x) + i * threads < vectors) {
      float x[8];
      unpack(raw[i], x);
      peak = add(peak, x);
    }
  peak = merge_all<threads>(peak);
  const float lse = peak.largest + __logf(peak.sum);
  const int owner = static_cast<int>(target / 8) % threads;
  if (static_cast<int>(threadIdx.x) == owner) {
    const float hit = to_float(line[target]);
    loss[member * s.loss_stride + within] = lse - hit;
  }
  if (scale == 0.0f) return;
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int at = threadIdx.x + i * threads;
    if (at >= vectors) continue;
    float x[8];
    unpack(raw[i], x);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      x[k] = scale * (__expf(x[k] - lse) - (at * 8 + k == target ? 1.0f : 0.0f));
    store8(line + at * 8, x);
  }
}

// Any vocabulary, one element at a time.
template <class T>
__global__ void __launch_bounds__(256)
    plain(Row s, T* logits, const int64_t* targets, float scale, float* loss) {
  const int64_t row = blockIdx.x, member = row / s.rows, within = row % s.rows;
  const int64_t target = targets[member * s.target_stride + within];
  T* const line = logits + row * s.vocabulary;
  Peak peak{-FLT_MAX, 0.0f};
  for (int64_t i = threadIdx.x; i < s.vocabulary; i += 256)
    peak = merge(peak, {to_float(line[i]), 1.0f});
  peak = merge_all<256>(peak);
  const float lse = peak.largest + __logf(peak.sum);
  if (threadIdx.x == 0) loss[member * s.loss_stride + within] = lse - to_float(line[target]);
  if (scale == 0.0f) return;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < s.vocabulary; i += 256)
    line[i] =
        from_float<T>(scale * (__expf(to_float(line[i]) - lse) - (i == target ? 1.0f : 0.0f)));
}

}  // namespace

void cross_entropy(Type type, const LossShape& s, void* logits, const int64_t* targets, float scale,
                   float* loss, Stream stream) {
  const Row row{s.rows, s.vocabulary, s.target_stride, s.loss_stride, s.members * s.rows};
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    T* const data = static_cast<T*>(logits);
    const auto go = [&](auto kernel, int threads, int lines) {
      kernel<<<blocks_for(row.total, lines), dim3(threads, lines), 0, stream>>>(row, data, targets,
                                                                                scale, loss);
    };
    const int64_t v = s.vocabulary;
    if (v % 8 != 0 || v > 1024 * 8 * 7)
      go(plain<T>, 256, 1);
    else if (v <= 256)
      go(cached<T, 32, 1>, 32, 4);
    else if (v <= 1024)
      go(cached<T, 32, 4>, 32, 4);
    else if (v <= 4096)
      go(cached<T, 128, 4>, 128, 1);
    else if (v <= 8192)
      go(cached<T, 256, 4>, 256, 1);
    else if (v <= 16384)
      go(cached<T, 512, 4>, 512, 1);
    else if (v <= 32768)
      go(cached<T, 1024, 4>, 1024, 1);
    else
      go(cached<T, 1024, 7>, 1024, 1);
  });
  check_launch();
}

}  // namespace rung::cuda
