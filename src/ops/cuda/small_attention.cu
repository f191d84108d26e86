#include "ops/cuda/device.h"
#include "ops/cuda/hopper/few_heads.h"
#include "ops/cuda/hopper/many_heads.h"
#include "ops/cuda/small_attention.cuh"

namespace rung::cuda {
namespace {

// Sixteen queries' running softmax; a lane holds parts of rows g and g + 8.
template <int D>
struct Mixture {
  float sum[D / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY}, total[2] = {};
};

// Scores of the queries `q` with the 16 keys of a tile, as two C matrices.
template <int D>
__device__ void scores(float (&s)[2][4], const Quad (&q)[D / 16], const Tile<stride_of<D>>& keys,
                       int tile) {
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    Quad b;
    keys.as_b_of_rows(b, tile, k);
    multiply_add(s, q[k], b);
  }
}

// Takes `keys` tiles of 16 keys into the mixture; the last one, where it is the diagonal, is
// masked.
template <int D, int keys>
__device__ void mix(Mixture<D>& m, const Quad (&q)[D / 16], const Tile<stride_of<D>>& k,
                    const Tile<stride_of<D>>& v, int tile, bool diagonal, float logit) {
  const int g = k.lane / 4, c = k.lane % 4;
  float s[keys][2][4] = {};
#pragma unroll
  for (int i = 0; i < keys; ++i) scores<D>(s[i], q, k, tile + i);
  if (diagonal)
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        if (8 * n + 2 * c + e % 2 > g + e / 2 * 8) s[keys - 1][n][e] = -INFINITY;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float largest = m.largest[r];
#pragma unroll
    for (int i = 0; i < keys; ++i)
#pragma unroll
      for (int n = 0; n < 2; ++n)
        largest = fmaxf(largest, fmaxf(s[i][n][2 * r], s[i][n][2 * r + 1]));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const float shrink = exp2_fast((m.largest[r] - largest) * logit), shift = largest * logit;
    m.largest[r] = largest;
    m.total[r] *= shrink;
#pragma unroll
    for (int n = 0; n < D / 8; ++n) m.sum[n][2 * r] *= shrink, m.sum[n][2 * r + 1] *= shrink;
#pragma unroll
    for (int i = 0; i < keys; ++i)
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int e = 2 * r; e < 2 * r + 2; ++e) {
          s[i][n][e] = exp2_fast(fmaf(s[i][n][e], logit, -shift));
          m.total[r] += s[i][n][e];
        }
  }
#pragma unroll
  for (int i = 0; i < keys; ++i) {
    const Quad p = {pack2(s[i][0][0], s[i][0][1]), pack2(s[i][0][2], s[i][0][3]),
                    pack2(s[i][1][0], s[i][1][1]), pack2(s[i][1][2], s[i][1][3])};
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      Quad b;
      v.as_b_of_columns(b, tile + i, n);
      multiply_add(m.sum + 2 * n, p, b);
    }
  }
}

template <int D>
__device__ void write(const Small& s, Mixture<D>& m, int tile, int lane, bf16* out, float* lse) {
  const unsigned width = s.rope.heads * s.head_dim;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float total = m.total[r];
    total += __shfl_xor_sync(0xffffffffu, total, 1);
    total += __shfl_xor_sync(0xffffffffu, total, 2);
    const unsigned row = 16 * tile + lane / 4 + 8 * r;
    if (row >= s.rope.time) continue;
    const float scale = 1.0f / total;
    if (lane % 4 == 0) lse[row] = m.largest[r] * s.logit + __log2f(total);
    bf16* const line = out + static_cast<int64_t>(row) * width;
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
      const unsigned column = 8 * n + 2 * (lane % 4);
      if (8 * n < static_cast<int>(s.head_dim))
        *reinterpret_cast<uint32_t*>(line + column) =
            pack2(m.sum[n][2 * r] * scale, m.sum[n][2 * r + 1] * scale);
    }
  }
}

// `few`: heads are fewer than multiprocessors, and a warp has one tile of queries.
template <int D, bool few>
__global__ void __launch_bounds__(few ? 512 : 256, few       ? 1
                                                   : D <= 16 ? 4
                                                   : D <= 32 ? 3
                                                             : 1)
    forward(Small s, const bf16* qkv, float value, bf16* out, float* lse) {
  extern __shared__ __align__(16) bf16 shared[];
  const unsigned sequence = blockIdx.x / s.rope.heads, head = blockIdx.x % s.rope.heads;
  const unsigned width = s.rope.heads * s.head_dim, size = s.rows() * stride_of<D>;
  const bf16* const from =
      qkv + static_cast<int64_t>(sequence) * s.rope.time * s.packed_row() + head * s.head_dim;
  bf16 *const q = shared, *const k = q + size, *const v = k + size;
  load_heads<D>(s, q, k, v, from, value);
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32, tiles = static_cast<int>(s.tiles);
  const Tile<stride_of<D>> queries{q, lane}, keys{k, lane}, values{v, lane};
  bf16* const rows = out + static_cast<int64_t>(sequence) * s.rope.time * width + head * s.head_dim;
  for (int i = threadIdx.x / 32; i < tiles; i += warps) {
    const int tile = tile_of(i, tiles);
    Quad a[D / 16];
#pragma unroll
    for (int n = 0; n < D / 16; ++n) queries.as_a(a[n], tile, n);
    Mixture<D> m;
    int key = 0;
    for (; key + 4 <= tile + 1; key += 4)
      mix<D, 4>(m, a, keys, values, key, key + 4 == tile + 1, s.logit);
    if (key + 2 <= tile + 1) {
      mix<D, 2>(m, a, keys, values, key, key + 2 == tile + 1, s.logit);
      key += 2;
    }
    if (key <= tile) mix<D, 1>(m, a, keys, values, key, true, s.logit);
    write<D>(s, m, tile, lane, rows, lse + static_cast<int64_t>(blockIdx.x) * s.rope.time);
  }
}

}  // namespace

bool fits_small_attention(const RopeShape& s) {
  return fits_small_attention(s, block_memory());
}

Small small_of(const SmallAttention& shape, float direction) {
  const RopeShape& r = shape.rope;
  Small s{};
  s.rope.time = static_cast<unsigned>(r.time);
  s.rope.heads = s.rope.kv_heads = static_cast<unsigned>(r.heads);
  s.rope.half = static_cast<unsigned>(r.head_dim / 2);
  s.rope.fast = static_cast<unsigned>(r.fast);
  s.head_dim = static_cast<unsigned>(r.head_dim);
  s.tiles = static_cast<unsigned>((r.time + 15) / 16);
  s.logit = shape.logit * log2_e;
  s.angles = {shape.cosine, shape.sine, direction};
  return s;
}

void small_attention_forward(const SmallAttention& shape, const void* qkv, float value, void* out,
                             float* lse, Stream stream) {
  if (takes_many_heads(shape)) return many_heads_forward(shape, qkv, value, out, lse, stream);
  if (takes_few_heads(shape)) return few_heads_forward(shape, qkv, value, out, lse, stream);
  const Small s = small_of(shape, 1.0f);
  with_head_dim(shape.rope.head_dim, [&](auto dim) {
    constexpr int D = decltype(dim)::value;
    const int bytes = static_cast<int>(3 * 16 * s.tiles) * stride_of<D> * 2;
    const unsigned blocks = static_cast<unsigned>(shape.rope.sequences * shape.rope.heads);
    const bool few = blocks <= processors();
    const auto kernel = few ? forward<D, true> : forward<D, false>;
    allow_shared(kernel, bytes);
    kernel<<<blocks, 32 * warps_of(s.tiles, few ? 1 : 2), bytes, stream>>>(
        s, static_cast<const bf16*>(qkv), value, static_cast<bf16*>(out), lse);
  });
  check_launch();
}

}  // namespace rung::cuda
