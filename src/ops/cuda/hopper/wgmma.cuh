// Products of a warpgroup, four warps on 64 rows (PTX wgmma, sm_90a): operands lie in shared memory
// as panels, or the left one in registers. A lane holds of sum [64, 8 n] what multiply_add in
// mma.cuh says for its warp's 16 rows. Operations run in order, asynchronously, between
// `wgmma_fence` and `wgmma_wait`; until then nobody else may touch their registers.
#pragma once
#include "ops/cuda/async.cuh"
#include "ops/cuda/hopper/wgmma_operands.cuh"
#include "ops/cuda/mma.cuh"

namespace rung::cuda {

// A matrix in shared memory: panels of 64 columns, 128 bytes a row, one panel behind the other,
// each 1,024-byte aligned. The eight 16-byte pieces of a row change places by its number modulo 8
// (the swizzle of 128 bytes), which frees both directions of reading from bank conflicts.
constexpr int panel_columns = 64, panel_row = 128;

// Where piece `piece` (8 columns) of a row lies, from the matrix's start.
__device__ inline uint32_t piece_at(int rows, int row, int piece) {
  return piece / 8 * rows * panel_row + row * panel_row + (piece % 8 ^ row % 8) * 16;
}

// The matrix descriptor: start and strides in units of 16 bytes, eight rows every 1,024 bytes,
// `lead` bytes from a panel to the next where an operand spans several (bits 62-63: swizzle 128).
__device__ inline uint64_t describe(uint32_t start, uint32_t lead) {
  return static_cast<uint64_t>((start & 0x3ffff) >> 4) | static_cast<uint64_t>(lead >> 4) << 16 |
         static_cast<uint64_t>(1024 >> 4) << 32 | static_cast<uint64_t>(1) << 62;
}

// The same of one panel of 32 columns, 64 bytes a row, whose four pieces a row change places by
// half of its number modulo 8 (the swizzle of 64 bytes).
constexpr int half_panel_columns = 32;
__device__ inline uint64_t describe_half(uint32_t start) {
  return static_cast<uint64_t>((start & 0x3ffff) >> 4) | static_cast<uint64_t>(512 >> 4) << 32 |
         static_cast<uint64_t>(2) << 62;
}

// The descriptor of what begins `bytes` further on.
__device__ inline uint64_t moved(uint64_t descriptor, uint32_t bytes) {
  return descriptor + (bytes >> 4);
}

__device__ inline void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits until at most `pending` committed groups run.
template <int pending>
__device__ inline void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}
// Ties values to this place: the compiler may not read them earlier, nor write them later.
template <int n>
__device__ inline void pin(float (&sum)[n][4]) {
#pragma unroll
  for (int i = 0; i < n; ++i)
    asm volatile("" : "+f"(sum[i][0]), "+f"(sum[i][1]), "+f"(sum[i][2]), "+f"(sum[i][3])::"memory");
}

// Keeps A operands in their registers until here.
template <int n>
__device__ inline void pin(Quad (&a)[n]) {
#pragma unroll
  for (int i = 0; i < n; ++i)
    asm volatile("" : "+r"(a[i][0]), "+r"(a[i][1]), "+r"(a[i][2]), "+r"(a[i][3])::"memory");
}

// A warpgroup's threads wait for each other, by a barrier of the block that is theirs alone.
__device__ inline void meet_group(int barrier) {
  asm volatile("bar.sync %0, 128;" ::"r"(barrier) : "memory");
}

// Shows this thread's finished copies to wgmma, which reads by another path (the async proxy).
__device__ inline void show_copies() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// sum = a b^T, or sum += a b^T: a [64, 16] and b [64, 16], both in shared memory; `transposed`: b
// is [16, 64] there, and the product a b.
template <int transposed = 0>
__device__ inline void multiply(float (&sum)[8][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(64) "%32, %33, 0, 1, 1, 0, %34;"
               : RUNG_SUMS_64("=f")
               : "l"(a), "l"(b), "n"(transposed));
}
template <int transposed = 0>
__device__ inline void multiply_add(float (&sum)[8][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(64) "%32, %33, 1, 1, 1, 0, %34;"
               : RUNG_SUMS_64("+f")
               : "l"(a), "l"(b), "n"(transposed));
}

// The same for b [16, 16].
template <int transposed = 0>
__device__ inline void multiply(float (&sum)[2][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(16) "%8, %9, 0, 1, 1, 0, %10;"
               : RUNG_SUMS_16("=f")
               : "l"(a), "l"(b), "n"(transposed));
}
template <int transposed = 0>
__device__ inline void multiply_add(float (&sum)[2][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(16) "%8, %9, 1, 1, 1, 0, %10;"
               : RUNG_SUMS_16("+f")
               : "l"(a), "l"(b), "n"(transposed));
}

// The same for b [32, 16], or [16, 32].
template <int transposed = 0>
__device__ inline void multiply(float (&sum)[4][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(32) "%16, %17, 0, 1, 1, 0, %18;"
               : RUNG_SUMS_32("=f")
               : "l"(a), "l"(b), "n"(transposed));
}
template <int transposed = 0>
__device__ inline void multiply_add(float (&sum)[4][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(32) "%16, %17, 1, 1, 1, 0, %18;"
               : RUNG_SUMS_32("+f")
               : "l"(a), "l"(b), "n"(transposed));
}

// The same for b [128, 16], or [16, 128].
template <int transposed = 0>
__device__ inline void multiply(float (&sum)[16][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(128) "%64, %65, 0, 1, 1, 0, %66;"
               : RUNG_SUMS_128("=f")
               : "l"(a), "l"(b), "n"(transposed));
}
template <int transposed = 0>
__device__ inline void multiply_add(float (&sum)[16][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(128) "%64, %65, 1, 1, 1, 0, %66;"
               : RUNG_SUMS_128("+f")
               : "l"(a), "l"(b), "n"(transposed));
}

// sum += a b, or sum = a b: a [64, 16] in registers, b [16, 8 n] in shared memory; not
// `transposed`: b is [8 n, 16] there, and the product a b^T.
template <int transposed = 1>
__device__ inline void multiply_add(float (&sum)[2][4], const Quad& a, uint64_t b) {
  asm volatile(RUNG_WGMMA(16) "{%8, %9, %10, %11}, %12, 1, 1, 1, %13;"
               : RUNG_SUMS_16("+f")
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(transposed));
}
template <int transposed = 1>
__device__ inline void multiply(float (&sum)[2][4], const Quad& a, uint64_t b) {
  asm volatile(RUNG_WGMMA(16) "{%8, %9, %10, %11}, %12, 0, 1, 1, %13;"
               : RUNG_SUMS_16("=f")
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(transposed));
}
template <int transposed = 1>
__device__ inline void multiply_add(float (&sum)[4][4], const Quad& a, uint64_t b) {
  asm volatile(RUNG_WGMMA(32) "{%16, %17, %18, %19}, %20, 1, 1, 1, %21;"
               : RUNG_SUMS_32("+f")
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(transposed));
}
template <int transposed = 1>
__device__ inline void multiply(float (&sum)[4][4], const Quad& a, uint64_t b) {
  asm volatile(RUNG_WGMMA(32) "{%16, %17, %18, %19}, %20, 0, 1, 1, %21;"
               : RUNG_SUMS_32("=f")
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(transposed));
}
template <int transposed = 1>
__device__ inline void multiply_add(float (&sum)[8][4], const Quad& a, uint64_t b) {
  asm volatile(RUNG_WGMMA(64) "{%32, %33, %34, %35}, %36, 1, 1, 1, %37;"
               : RUNG_SUMS_64("+f")
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(transposed));
}
template <int transposed = 1>
__device__ inline void multiply(float (&sum)[8][4], const Quad& a, uint64_t b) {
  asm volatile(RUNG_WGMMA(64) "{%32, %33, %34, %35}, %36, 0, 1, 1, %37;"
               : RUNG_SUMS_64("=f")
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(transposed));
}
template <int transposed = 1>
__device__ inline void multiply_add(float (&sum)[16][4], const Quad& a, uint64_t b) {
  asm volatile(RUNG_WGMMA(128) "{%64, %65, %66, %67}, %68, 1, 1, 1, %69;"
               : RUNG_SUMS_128("+f")
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(transposed));
}

template <int transposed = 1>
__device__ inline void multiply(float (&sum)[16][4], const Quad& a, uint64_t b) {
  asm volatile(RUNG_WGMMA(128) "{%64, %65, %66, %67}, %68, 0, 1, 1, %69;"
               : RUNG_SUMS_128("=f")
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(transposed));
}

// The same for b [16, 256], or [256, 16].
template <int transposed>
__device__ inline void multiply_add(float (&sum)[32][4], const Quad& a, uint64_t b) {
  asm volatile(RUNG_WGMMA(256) "{%128, %129, %130, %131}, %132, 1, 1, 1, %133;"
               : RUNG_SUMS_256("+f")
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(transposed));
}

// The same with a in shared memory.
template <int transposed>
__device__ inline void multiply_add(float (&sum)[32][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(256) "%128, %129, 1, 1, 1, 0, %130;"
               : RUNG_SUMS_256("+f")
               : "l"(a), "l"(b), "n"(transposed));
}

// sum += a^T b: a [16, 64] and b [16, 8 n], both in shared memory.
__device__ inline void multiply_add_turned(float (&sum)[32][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(256) "%128, %129, 1, 1, 1, 1, 1;" : RUNG_SUMS_256("+f") : "l"(a), "l"(b));
}
__device__ inline void multiply_add_turned(float (&sum)[16][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(128) "%64, %65, 1, 1, 1, 1, 1;" : RUNG_SUMS_128("+f") : "l"(a), "l"(b));
}
__device__ inline void multiply_add_turned(float (&sum)[8][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(64) "%32, %33, 1, 1, 1, 1, 1;" : RUNG_SUMS_64("+f") : "l"(a), "l"(b));
}

// sum = a^T b, or sum += a^T b: a [16, 64] and b [16, 8 n]; not `transposed`: b is [8 n, 16] there,
// and the product a^T b^T.
template <int transposed>
__device__ inline void multiply_turned(float (&sum)[2][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(16) "%8, %9, 0, 1, 1, 1, %10;"
               : RUNG_SUMS_16("=f")
               : "l"(a), "l"(b), "n"(transposed));
}
template <int transposed>
__device__ inline void multiply_add_turned(float (&sum)[2][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(16) "%8, %9, 1, 1, 1, 1, %10;"
               : RUNG_SUMS_16("+f")
               : "l"(a), "l"(b), "n"(transposed));
}
template <int transposed>
__device__ inline void multiply_turned(float (&sum)[4][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(32) "%16, %17, 0, 1, 1, 1, %18;"
               : RUNG_SUMS_32("=f")
               : "l"(a), "l"(b), "n"(transposed));
}
template <int transposed>
__device__ inline void multiply_add_turned(float (&sum)[4][4], uint64_t a, uint64_t b) {
  asm volatile(RUNG_WGMMA(32) "%16, %17, 1, 1, 1, 1, %18;"
               : RUNG_SUMS_32("+f")
               : "l"(a), "l"(b), "n"(transposed));
}

// sum = a b^T, or sum += a b^T where it `adds`: a [64, 16] and b [192, 16] in shared memory.
__device__ inline void multiply(float (&sum)[24][4], uint64_t a, uint64_t b, bool adds) {
  asm volatile(
      "{ .reg .pred p; setp.ne.b32 p, %98, 0; " RUNG_WGMMA(192) "%96, %97, p, 1, 1, 0, 0; }"
      : RUNG_SUMS_192("+f")
      : "l"(a), "l"(b), "r"(static_cast<int>(adds)));
}

}  // namespace rung::cuda
