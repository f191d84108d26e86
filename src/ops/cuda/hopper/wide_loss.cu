// A block per multiprocessor walks over the rows with two in shared memory: while its warps work on
// one, the bulk copies write the row before and bring the row after. A row is read and written
// once, and the exponentials hide behind the bytes. Row by row in registers (cross_entropy.cu) they
// did not: a row of 100 KB leaves no room for a second block, and 50,304 logits took 1.4 times the
// time of their bytes.
#include <cfloat>

#include "ops/cuda/device.h"
#include "ops/cuda/hopper/tensor_copy.cuh"
#include "ops/cuda/hopper/wide_loss.h"

namespace rung::cuda {
namespace {

constexpr int workers = 512, threads = workers + 32;  // the last warp copies
constexpr float log2_e = 1.4426950408889634f;

struct LossRows {
  int64_t rows, vocabulary, target_stride, loss_stride, total;
};

__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Of the workers alone, in a fixed order; `warps` has a number for each of them.
template <class F>
__device__ inline float reduce(float value, float* warps, const F& f) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    value = f(value, __shfl_xor_sync(0xffffffffu, value, offset));
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  asm volatile("bar.sync 1, %0;" ::"n"(workers) : "memory");
  value = warps[0];
#pragma unroll
  for (int w = 1; w < workers / 32; ++w) value = f(value, warps[w]);
  return value;
}

// Of whole rows, both multiples of 16 bytes long.
__device__ inline void copy_row_in(uint32_t to, const void* from, uint32_t bytes,
                                   uint32_t barrier) {
  announce(barrier, bytes);
  copy_flat(to, from, bytes, barrier);
}
__device__ inline void copy_row_out(void* to, uint32_t from, uint32_t bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(from),
               "r"(bytes)
               : "memory");
  commit_writes();
}

// By one thread: rows in, and those that are done out.
template <class T>
__device__ void move_rows(const LossRows& s, T* logits, uint32_t lines, uint32_t full,
                          uint32_t done, bool back) {
  const uint32_t bytes = static_cast<uint32_t>(s.vocabulary * sizeof(T));
  const int64_t step = gridDim.x, count = (s.total - blockIdx.x + step - 1) / step;
  for (int64_t i = 0; i < count + 2; ++i) {
    const uint32_t half = static_cast<uint32_t>(i % 2), line = lines + half * bytes;
    T* const row = logits + (blockIdx.x + i * step) * s.vocabulary;
    if (i >= 2) {
      wait_barrier(done + half * 8, (i / 2 & 1) ^ 1);
      if (back) {
        copy_row_out(row - 2 * step * s.vocabulary, line, bytes);
        wait_writes();
      }
    }
    if (i < count) copy_row_in(line, row, bytes, full + half * 8);
  }
  wait_written();
}

// A row in shared memory: its loss, and its gradient in its place unless scale is 0.
template <class T>
__device__ float work(const LossRows& s, T* line, int target, float scale, float* warps) {
  const int vectors = static_cast<int>(s.vocabulary / 8);
  float x[8], largest = -FLT_MAX, sum = 0.0f;
  for (int at = threadIdx.x; at < vectors; at += workers) {
    load8(line + at * 8, x);
#pragma unroll
    for (int k = 0; k < 8; ++k) largest = fmaxf(largest, x[k]);
  }
  largest = reduce(largest, warps, [](float a, float b) { return fmaxf(a, b); });
  const float shift = largest * log2_e;
  for (int at = threadIdx.x; at < vectors; at += workers) {
    load8(line + at * 8, x);
#pragma unroll
    for (int k = 0; k < 8; ++k) x[k] = power_of_two(fmaf(x[k], log2_e, -shift));
    sum += ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
  }
  sum = reduce(sum, warps + workers / 32, [](float a, float b) { return a + b; });
  const float lse = largest + __logf(sum), end = lse * log2_e, hit = to_float(line[target]);
  if (scale == 0.0f) return lse - hit;
  asm volatile("bar.sync 1, %0;" ::"n"(workers) : "memory");  // all have read the target's logit
  for (int at = threadIdx.x; at < vectors; at += workers) {
    load8(line + at * 8, x);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      x[k] =
          scale * (power_of_two(fmaf(x[k], log2_e, -end)) - (at * 8 + k == target ? 1.0f : 0.0f));
    store8(line + at * 8, x);
  }
  return lse - hit;
}

template <class T>
__global__ void __launch_bounds__(threads, 1)
    walk(LossRows s, T* logits, const int64_t* targets, float scale, float* loss) {
  extern __shared__ __align__(128) char memory[];
  __shared__ alignas(8) uint64_t barriers[4];
  __shared__ float warps[2 * (workers / 32)];
  const uint32_t full = shared_address(barriers), done = full + 16;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; ++i) {
      start_barrier(full + i * 8, 1);
      start_barrier(done + i * 8, workers);
    }
    show_barriers();
  }
  __syncthreads();
  if (threadIdx.x >= workers) {
    if (threadIdx.x == workers)
      move_rows(s, logits, shared_address(memory), full, done, scale != 0.0f);
    return;
  }
  int i = 0;
  for (int64_t row = blockIdx.x; row < s.total; row += gridDim.x, ++i) {
    const int64_t member = row / s.rows, within = row % s.rows;
    const int target = static_cast<int>(targets[member * s.target_stride + within]);
    T* const line = reinterpret_cast<T*>(memory) + i % 2 * s.vocabulary;
    wait_barrier(full + i % 2 * 8, i / 2 & 1);
    const float own = work(s, line, target, scale, warps);
    if (threadIdx.x == 0) loss[member * s.loss_stride + within] = own;
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");  // shows the row to the copy
    arrive(done + i % 2 * 8);
  }
}

}  // namespace

bool fits_wide_loss(Type type, int64_t vocabulary) {
  const int64_t bytes = vocabulary * (type == Type::bf16 ? 2 : 4);
  return is_hopper() && vocabulary % 8 == 0 && vocabulary > 16384 &&
         2 * bytes + 1024 <= block_memory();
}

void wide_loss(Type type, const LossShape& s, void* logits, const int64_t* targets, float scale,
               float* loss, Stream stream) {
  const LossRows rows{s.rows, s.vocabulary, s.target_stride, s.loss_stride, s.members * s.rows};
  const int64_t blocks = rows.total < processors() ? rows.total : processors();
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    const int memory = static_cast<int>(2 * s.vocabulary * static_cast<int64_t>(sizeof(T)));
    cudaFuncSetAttribute(walk<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, memory);
    walk<T><<<static_cast<unsigned>(blocks), threads, memory, stream>>>(
        rows, static_cast<T*>(logits), targets, scale, loss);
  });
  check_launch();
}

}  // namespace rung::cuda
