// Causal attention of many short heads (many_heads.h), a block a head: what the two passes share.
// What bounds these kernels is the pipe of shared and global accesses, which takes a turn for 128
// bytes of shared memory and for every line of 128 bytes that a warp touches, of which a head of 16
// has a quarter. So operands serve two tiles where registers allow, rows are written by 16 bytes a
// lane, and scores start from what is subtracted from them.
#pragma once
#include "ops/cuda/small_attention.cuh"

namespace rung::cuda {

// Where piece `piece` (eight elements) of a row lies, in bytes: rows without gaps, whose pieces
// change places so that the same piece of eight rows is in different banks.
template <int D>
__device__ inline uint32_t place(unsigned row, unsigned piece) {
  return row * (2 * D) + 16 * (piece ^ (row / (64 / D) % (D / 8)));
}

// A lane's addresses within a tile of 16 rows (mma.cuh): `across` for A of rows and for B with k
// along the rows, `down` for B with k along the columns.
template <int D>
struct TileLane {
  uint32_t across, down;
  __device__ explicit TileLane(unsigned lane)
      : across(place<D>(lane % 16, lane / 16)),
        down(place<D>(lane / 16 * 8 + lane % 8, lane / 8 % 2)) {}
};

__device__ inline void load_quad(Quad& to, uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(at));
}
__device__ inline void load_quad_turned(Quad& to, uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(at));
}
__device__ inline void store_quad(uint32_t at, const Quad& from) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};"
               :
               : "r"(at), "r"(from[0]), "r"(from[1]), "r"(from[2]), "r"(from[3])
               : "memory");
}

// A tile's rows as D / 16 operands each.
template <int D>
__device__ inline void load_across(Quad (&to)[D / 16], uint32_t tile, uint32_t across) {
#pragma unroll
  for (int k = 0; k < D / 16; ++k) load_quad(to[k], tile + (across ^ (32 * k)));
}
template <int D>
__device__ inline void load_down(Quad (&to)[D / 16], uint32_t tile, uint32_t down) {
#pragma unroll
  for (int k = 0; k < D / 16; ++k) load_quad(to[k], tile + (down ^ (32 * k)));
}
template <int D>
__device__ inline void load_turned(Quad (&to)[D / 16], uint32_t tile, uint32_t across) {
#pragma unroll
  for (int k = 0; k < D / 16; ++k) load_quad_turned(to[k], tile + (across ^ (32 * k)));
}

// sum = start + A B.
__device__ inline void multiply(float (&sum)[4], const Quad& a, uint32_t b0, uint32_t b1,
                                const float (&start)[4]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%10, %11, %12, %13};"
      : "=f"(sum[0]), "=f"(sum[1]), "=f"(sum[2]), "=f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(start[0]), "f"(start[1]),
        "f"(start[2]), "f"(start[3]));
}

// A 16 x 16 product of rows with rows, C matrices of two halves, each from its start.
template <int D>
__device__ inline void pairs_product(float (&s)[2][4], const Quad (&a)[D / 16],
                                     const Quad (&b)[D / 16], const float (&start0)[4],
                                     const float (&start1)[4]) {
  multiply(s[0], a[0], b[0][0], b[0][1], start0);
  multiply(s[1], a[0], b[0][2], b[0][3], start1);
#pragma unroll
  for (int k = 1; k < D / 16; ++k) {
    multiply(s[0], a[k], b[k][0], b[k][1], s[0]);
    multiply(s[1], a[k], b[k][2], b[k][3], s[1]);
  }
}
// sum += a B, B's columns in pairs of eight.
template <int D>
__device__ inline void add_pairs(float (&sum)[D / 8][4], const Quad& a, const Quad (&b)[D / 16]) {
#pragma unroll
  for (int n = 0; n < D / 16; ++n) {
    multiply(sum[2 * n], a, b[n][0], b[n][1], sum[2 * n]);
    multiply(sum[2 * n + 1], a, b[n][2], b[n][3], sum[2 * n + 1]);
  }
}

// A thread's i-th piece of a head's rows, where threads are as many as rows: neighbours in a row
// are neighbouring lanes.
template <int D>
struct Item {
  unsigned row, piece;
  __device__ explicit Item(unsigned i) {
    const unsigned item = threadIdx.x + i * blockDim.x;
    row = item / (D / 8), piece = item % (D / 8);
  }
  __device__ uint32_t place() const { return cuda::place<D>(row, piece); }
  __device__ unsigned element(unsigned row_stride) const { return row * row_stride + 8 * piece; }
  // Whether its elements are the second ones of their pairs.
  __device__ bool second() const { return piece >= D / 16; }
};

struct RopePiece {
  float cosine[8], sine[8];
};
template <int D>
__device__ inline void load_rope(RopePiece& to, const Angles& a, unsigned row, unsigned piece) {
  const unsigned at = row * (D / 2) + piece % (D / 16) * 8;
  load8(a.cosine + at, to.cosine);
  load8(a.sine + at, to.sine);
}

// A lane's piece of a row turned by its position: of each pair of elements one is here and the
// other `D / 16` lanes away; the first of a pair gets the other one times minus the sine.
template <int D>
__device__ inline void turn_piece(float (&x)[8], const Raw<bf16>& raw, const RopePiece& rope,
                                  bool turns, bool second) {
  unpack(raw, x);
  if (!turns) return;
  const uint32_t sign = second ? 0 : 0x80008000;
  Raw<bf16> far;
  far.word[0].x = __shfl_xor_sync(0xffffffffu, raw.word[0].x, D / 16) ^ sign;
  far.word[0].y = __shfl_xor_sync(0xffffffffu, raw.word[0].y, D / 16) ^ sign;
  far.word[0].z = __shfl_xor_sync(0xffffffffu, raw.word[0].z, D / 16) ^ sign;
  far.word[0].w = __shfl_xor_sync(0xffffffffu, raw.word[0].w, D / 16) ^ sign;
  float y[8];
  unpack(far, y);
#pragma unroll
  for (int i = 0; i < 8; ++i) x[i] = x[i] * rope.cosine[i] + y[i] * rope.sine[i];
}

__device__ inline void store_shared(uint32_t at, const uint4& v) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};"
               :
               : "r"(at), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
               : "memory");
}
// Four numbers, as a product's start, and one.
__device__ inline void load_start(float (&to)[4], uint32_t at) {
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(to[0]), "=f"(to[1]), "=f"(to[2]), "=f"(to[3])
               : "r"(at));
}

__device__ inline float load_number(uint32_t at) {
  float x;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(x) : "r"(at));
  return x;
}
__device__ inline void store_number(uint32_t at, float x) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(at), "f"(x) : "memory");
}

// Eight numbers as bf16, or zeros.
__device__ inline uint4 packed(const float (&x)[8], bool real) {
  if (!real) return make_uint4(0, 0, 0, 0);
  return make_uint4(pack2(x[0], x[1]), pack2(x[2], x[3]), pack2(x[4], x[5]), pack2(x[6], x[7]));
}

// Rows in shared memory: pairs of tiles, a warp a pair.
inline unsigned tile_pairs(unsigned tiles) {
  return (tiles + 1) / 2;
}

// Calls f with the head dimension, 16 or 32, as a constant.
template <class F>
void with_whole_head(int64_t head_dim, F&& f) {
  if (head_dim == 16)
    f(std::integral_constant<int, 16>());
  else
    f(std::integral_constant<int, 32>());
}

}  // namespace rung::cuda
