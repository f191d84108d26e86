// Table look-up and its gradient. The gradient walks tokens in sorted order: one warp sums one
// token's rows, so that every table row has a single writer and a fixed order.
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

// G lanes cover 8 G columns; 32 / G rows of a token are read at a time. Wide rows go through
// embedding_runs.cu.
template <class T, int G>
__global__ void __launch_bounds__(threads)
    scatter(TableShape s, const T* dout, const int64_t* sorted, const int64_t* order, float factor,
            float* gradient) {
  const int lane = threadIdx.x % 32, column = lane % G * 8;
  const int64_t start = static_cast<int64_t>(blockIdx.x) * (threads / 32) + threadIdx.x / 32;
  if (start >= s.rows) return;
  sorted += blockIdx.y * s.rows;
  order += blockIdx.y * s.rows;
  dout += blockIdx.y * s.rows * s.width;
  const int64_t token = sorted[start];
  if (start > 0 && sorted[start - 1] == token) return;
  const bool inside = column < s.width;
  float sum[8] = {};
  for (int64_t first = start; first < s.rows; first += 32) {
    const int64_t mine = first + lane;
    const bool same = mine < s.rows && sorted[mine] == token;
    const int count = __popc(__ballot_sync(0xffffffffu, same));
    const int row = same ? static_cast<int>(order[mine]) : 0;
#pragma unroll 4
    for (int i = 0; i < count; i += 32 / G) {
      const int at = i + lane / G;
      const int64_t source = __shfl_sync(0xffffffffu, row, at < count ? at : 0);
      if (at < count && inside) {
        float x[8];
        load8(dout + source * s.width + column, x);
#pragma unroll
        for (int k = 0; k < 8; ++k) sum[k] += x[k];
      }
    }
    if (count < 32) break;
  }
#pragma unroll
  for (int offset = G; offset < 32; offset *= 2)
#pragma unroll
    for (int k = 0; k < 8; ++k) sum[k] += __shfl_xor_sync(0xffffffffu, sum[k], offset);
  if (lane >= G || !inside) return;
  float* to = gradient + blockIdx.y * s.stride + token * s.width + column;
  float old[8];
  load8(to, old);
#pragma unroll
  for (int k = 0; k < 8; ++k) old[k] += factor * sum[k];
  store8(to, old);
}

// Sorts a member's tokens, each with its row below it in one number, by a bitonic network in shared
// memory: `count` numbers, a power of two of at least 64.
__global__ void __launch_bounds__(1024)
    sort_rows(int rows, int count, int bits, const int64_t* tokens, int64_t* sorted,
              int64_t* order) {
  extern __shared__ uint32_t keys[];
  const int64_t member = static_cast<int64_t>(blockIdx.x) * rows;
  for (int i = threadIdx.x; i < count; i += blockDim.x)
    keys[i] = i < rows
                  ? static_cast<uint32_t>(tokens[member + i]) << bits | static_cast<uint32_t>(i)
                  : 0xffffffffu;
  __syncthreads();
  for (int size = 2; size <= count; size *= 2)
    for (int apart = size / 2; apart > 0; apart /= 2) {
      for (int pair = threadIdx.x; pair < count / 2; pair += blockDim.x) {
        const int i = 2 * pair - (pair & (apart - 1));
        const uint32_t a = keys[i], b = keys[i + apart];
        if ((a > b) == ((i & size) == 0)) keys[i] = b, keys[i + apart] = a;
      }
      // A warp's pairs lie in 64 numbers of its own while they are up to 32 apart.
      const int next = apart > 1 ? apart / 2 : size;
      if (apart > 32 || next > 32)
        __syncthreads();
      else
        __syncwarp();
    }
  for (int i = threadIdx.x; i < rows; i += blockDim.x) {
    sorted[member + i] = keys[i] >> bits;
    order[member + i] = keys[i] & ((1u << bits) - 1);
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
  const int bits = bits_for(rows), count = 1 << (bits < 6 ? 6 : bits);
  const int block = count / 2 < 1024 ? count / 2 : 1024;
  sort_rows<<<static_cast<unsigned>(members), block, count * 4, stream>>>(
      static_cast<int>(rows), count, bits, tokens, sorted, order);
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

void embedding_backward(Type type, const TableShape& s, const void* dout, const int64_t* sorted,
                        const int64_t* order, float factor, float* gradient, Stream stream) {
  const int64_t vectors = s.width / 8;
  const dim3 grid(blocks_for(s.rows, threads / 32), static_cast<unsigned>(s.members));
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    const auto go = [&](auto kernel) {
      kernel<<<grid, threads, 0, stream>>>(s, static_cast<const T*>(dout), sorted, order, factor,
                                           gradient);
    };
    if (vectors <= 4)
      go(scatter<T, 4>);
    else if (vectors <= 8)
      go(scatter<T, 8>);
    else
      go(scatter<T, 16>);
  });
  check_launch();
}

}  // namespace rung::cuda
