// Table look-up, and the sorted order of its tokens in which the gradient walks them
// (embedding_runs.cu), so that every table row has a single writer and a fixed order.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;

template <class T>
__global__ void __launch_bounds__(threads)
    gather(TableShape s, unsigned vectors, int64_t total, const T* table, const int64_t* tokens,
           float factor, T* out) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= total) return;
  const int64_t row = index / vectors, column = index % vectors, member = row / s.rows;
  float x[8];
  load8(table + member * s.stride + tokens[row] * s.width + column * 8, x);
#pragma unroll
  for (int k = 0; k < 8; ++k) x[k] *= factor;
  store8(out + index * 8, x);
}

// One stage of a bitonic network: number i meets number i ^ apart, where `lower` says whether it is
// the lower of the two, and the smaller goes to the lower if `ascending`.
__device__ inline uint32_t meet(uint32_t own, uint32_t other, bool lower, bool ascending) {
  return lower == ascending ? min(own, other) : max(own, other);
}

// Sorts a member's tokens, each with its row below it in one number. A thread has K neighbours in
// registers; partners are its own, a warp's by shuffles, or come by way of shared memory.
// blockDim.x K numbers, a power of two.
template <int K>
__global__ void __launch_bounds__(1024)
    sort_rows(int rows, int bits, const int64_t* tokens, int64_t* sorted, int64_t* order) {
  extern __shared__ uint32_t shared[];  // number e of thread t at e blockDim.x + t
  const int thread = static_cast<int>(threadIdx.x), threads_here = static_cast<int>(blockDim.x);
  const int count = K * threads_here;
  const int64_t member = static_cast<int64_t>(blockIdx.x) * rows;
  uint32_t key[K];
#pragma unroll
  for (int e = 0; e < K; ++e) {
    const int i = thread * K + e;
    key[e] = i < rows ? static_cast<uint32_t>(tokens[member + i]) << bits | static_cast<uint32_t>(i)
                      : 0xffffffffu;
  }
  for (int size = 2; size <= count; size *= 2) {
    int apart = size / 2;
    for (; apart >= 32 * K; apart /= 2) {
      __syncthreads();
#pragma unroll
      for (int e = 0; e < K; ++e) shared[e * threads_here + thread] = key[e];
      __syncthreads();
      const bool lower = (thread * K & apart) == 0, ascending = (thread * K & size) == 0;
#pragma unroll
      for (int e = 0; e < K; ++e)
        key[e] = meet(key[e], shared[e * threads_here + (thread ^ apart / K)], lower, ascending);
    }
    for (; apart >= K; apart /= 2) {
      const bool lower = (thread * K & apart) == 0, ascending = (thread * K & size) == 0;
#pragma unroll
      for (int e = 0; e < K; ++e)
        key[e] = meet(key[e], __shfl_xor_sync(0xffffffffu, key[e], apart / K), lower, ascending);
    }
#pragma unroll
    for (int own = K / 2; own > 0; own /= 2) {
      if (own > apart) continue;
#pragma unroll
      for (int e = 0; e < K; ++e)
        if ((e & own) == 0) {
          const bool ascending = ((thread * K + e) & size) == 0;
          const uint32_t a = key[e], b = key[e + own];
          key[e] = meet(a, b, true, ascending);
          key[e + own] = meet(b, a, false, ascending);
        }
    }
  }
#pragma unroll
  for (int e = 0; e < K; ++e) {
    const int i = thread * K + e;
    if (i >= rows) continue;
    sorted[member + i] = key[e] >> bits;
    order[member + i] = key[e] & ((1u << bits) - 1);
  }
}

int bits_for(int64_t count) {
  int bits = 0;
  while (int64_t{1} << bits < count) ++bits;
  return bits;
}

}  // namespace

bool fits_sort_tokens(int64_t rows, int64_t vocabulary) {
  return rows <= 8192 && vocabulary < int64_t{1} << (32 - bits_for(rows));
}

void sort_tokens(int64_t members, int64_t rows, const int64_t* tokens, int64_t* sorted,
                 int64_t* order, Stream stream) {
  const int bits = bits_for(rows), count = 1 << (bits < 7 ? 7 : bits);
  const auto go = [&](auto kernel, int each) {
    kernel<<<static_cast<unsigned>(members), count / each, count * 4, stream>>>(
        static_cast<int>(rows), bits, tokens, sorted, order);
  };
  if (count <= 4096)
    go(sort_rows<4>, 4);
  else
    go(sort_rows<8>, 8);
  check_launch();
}

void embedding_forward(Type type, const TableShape& s, const void* table, const int64_t* tokens,
                       float factor, void* out, Stream stream) {
  const int64_t vectors = s.width / 8, total = s.members * s.rows * vectors;
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    gather<T><<<blocks_for(total, threads), threads, 0, stream>>>(
        s, static_cast<unsigned>(vectors), total, static_cast<const T*>(table), tokens, factor,
        static_cast<T*>(out));
  });
  check_launch();
}

}  // namespace rung::cuda
