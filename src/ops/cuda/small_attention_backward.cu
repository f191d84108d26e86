#include "ops/cuda/device.h"
#include "ops/cuda/hopper/few_heads.h"
#include "ops/cuda/hopper/many_heads.h"
#include "ops/cuda/small_attention.cuh"

namespace rung::cuda {
namespace {

// What lies in shared memory: a head's rotated q and k, scaled v, dout, and the two numbers a query
// that its scores' gradients need.
template <int D>
struct Rows {
  Tile<stride_of<D>> q, k, v, dout;
  const float *lse, *delta;  // base 2; sum of dout * out
};

// p and its gradient ds of 16 x 16 pairs as one A operand each, from C matrices of scores and dp.
// `lse` and `delta` give the numbers of element e of matrix n; `hidden` says which pairs are
// masked.
template <class Lse, class Delta, class Hidden>
__device__ void softmax_gradient(float (&s)[2][4], float (&dp)[2][4], float logit, const Lse& lse,
                                 const Delta& delta, const Hidden& hidden, Quad& p, Quad& ds) {
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      s[n][e] = hidden(n, e) ? 0.0f : exp2_fast(fmaf(s[n][e], logit, -lse(n, e)));
      dp[n][e] = s[n][e] * (dp[n][e] - delta(n, e));
    }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    p[i] = pack2(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1]);
    ds[i] = pack2(dp[i / 2][i % 2 * 2], dp[i / 2][i % 2 * 2 + 1]);
  }
}

// sum += a B for the columns of 16 rows.
template <int D>
__device__ void add_product(float (&sum)[D / 8][4], const Quad& a, const Tile<stride_of<D>>& rows,
                            int tile) {
#pragma unroll
  for (int n = 0; n < D / 16; ++n) {
    Quad b;
    rows.as_b_of_columns(b, tile, n);
    multiply_add(sum + 2 * n, a, b);
  }
}

// Two products of 16 rows each with 16 rows: s = a x^T, t = b y^T.
template <int D>
__device__ void two_products(float (&s)[2][4], float (&t)[2][4], const Quad (&a)[D / 16],
                             const Quad (&b)[D / 16], const Tile<stride_of<D>>& x,
                             const Tile<stride_of<D>>& y, int tile) {
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    Quad m;
    x.as_b_of_rows(m, tile, k);
    multiply_add(s[0], a[k], m[0], m[1]);
    multiply_add(s[1], a[k], m[2], m[3]);
    y.as_b_of_rows(m, tile, k);
    multiply_add(t[0], b[k], m[0], m[1]);
    multiply_add(t[1], b[k], m[2], m[3]);
  }
}

// dq of a tile of queries: over the keys up to them, `ahead` tiles at a time.
template <int D, int ahead>
__device__ void query_gradient(float (&dq)[D / 8][4], const Rows<D>& in, int tile, float logit) {
  const int g = in.q.lane / 4, c = in.q.lane % 4;
  Quad q[D / 16], dout[D / 16];
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    in.q.as_a(q[k], tile, k);
    in.dout.as_a(dout[k], tile, k);
  }
  const float lse[2] = {in.lse[16 * tile + g], in.lse[16 * tile + g + 8]};
  const float delta[2] = {in.delta[16 * tile + g], in.delta[16 * tile + g + 8]};
#pragma unroll ahead
  for (int key = 0; key <= tile; ++key) {
    float s[2][4] = {}, dp[2][4] = {};
    two_products<D>(s, dp, q, dout, in.k, in.v, key);
    Quad p, ds;
    softmax_gradient(
        s, dp, logit, [&](int, int e) { return lse[e / 2]; },
        [&](int, int e) { return delta[e / 2]; },
        [&](int n, int e) { return key == tile && 8 * n + 2 * c + e % 2 > g + e / 2 * 8; }, p, ds);
    add_product<D>(dq, ds, in.k, key);
  }
}

// dk and dv of a tile of keys: over the queries from them on, `ahead` tiles at a time.
template <int D, int ahead>
__device__ void key_gradient(float (&dk)[D / 8][4], float (&dv)[D / 8][4], const Rows<D>& in,
                             int tile, int tiles, float logit) {
  const int g = in.q.lane / 4, c = in.q.lane % 4;
  Quad k[D / 16], v[D / 16];
#pragma unroll
  for (int i = 0; i < D / 16; ++i) {
    in.k.as_a(k[i], tile, i);
    in.v.as_a(v[i], tile, i);
  }
#pragma unroll ahead
  for (int query = tile; query < tiles; ++query) {
    float s[2][4] = {}, dp[2][4] = {};
    two_products<D>(s, dp, k, v, in.q, in.dout, query);
    float lse[2][2], delta[2][2];
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        lse[n][e] = in.lse[16 * query + 8 * n + 2 * c + e];
        delta[n][e] = in.delta[16 * query + 8 * n + 2 * c + e];
      }
    Quad p, ds;
    softmax_gradient(
        s, dp, logit, [&](int n, int e) { return lse[n][e % 2]; },
        [&](int n, int e) { return delta[n][e % 2]; },
        [&](int n, int e) { return query == tile && g + e / 2 * 8 > 8 * n + 2 * c + e % 2; }, p,
        ds);
    add_product<D>(dv, p, in.dout, query);
    add_product<D>(dk, ds, in.q, query);
  }
}

// A C matrix row as bf16 pairs times `factor`, for the columns and rows that exist.
template <int D>
__device__ void write_tile(const float (&sum)[D / 8][4], bf16* to, int64_t stride, int tile,
                           int lane, float factor, unsigned rows, unsigned columns) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const unsigned row = 16 * tile + lane / 4 + 8 * r;
    if (row >= rows) continue;
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
      if (8 * n < static_cast<int>(columns))
        *reinterpret_cast<uint32_t*>(to + row * stride + 8 * n + 2 * (lane % 4)) =
            pack2(sum[n][2 * r] * factor, sum[n][2 * r + 1] * factor);
  }
}

// Gradients of the rotated queries and keys in shared memory (or of one of them), turned back and
// written.
template <int D, int parts>
__device__ void write_turned(const Small& s, const bf16* dq, const bf16* dk, float qk, bf16* to) {
  const unsigned half = s.rope.half, slots = half / 4, width = s.rope.heads * s.head_dim;
  constexpr int stride = stride_of<D>;
  for (unsigned i = threadIdx.x; i < parts * s.rope.time * slots; i += blockDim.x) {
    const unsigned at = i % slots * 4, row = i / slots / parts;
    const unsigned key = parts == 2 ? i / slots % 2 : dk != nullptr;
    const bf16* const line = (key ? dk : dq) + row * stride;
    float a[4], b[4];
    load4(line + at, a);
    load4(line + half + at, b);
    turn(a, b, s.angles, row, half, at);
    if (key && at + 4 > s.rope.fast) take_after(s.rope, line + stride, s.angles, row, at, a, b);
#pragma unroll
    for (int k = 0; k < 4; ++k) a[k] *= qk, b[k] *= qk;
    bf16* const target = to + static_cast<int64_t>(row) * s.packed_row() + key * width;
    store4(target + at, a);
    store4(target + half + at, b);
  }
}

struct Factors {
  float value, qk, gradient;
};

// Each warp takes up to `each` tiles of queries, and the same tiles of keys; where heads are fewer
// than multiprocessors half of the warps take the queries and half the keys, or where they are half
// as many, half of the blocks.
enum class Roles { both, by_warp, by_block };

template <int D, int each, Roles roles>
__global__ void __launch_bounds__(roles == Roles::both ? 256 : 512, roles != Roles::both ? 1
                                                                    : D <= 16            ? 3
                                                                    : D <= 32            ? 2
                                                                                         : 1)
    backward(Small s, const bf16* qkv, const bf16* out, const float* lse, const bf16* dout,
             Factors factors, bf16* dqkv) {
  extern __shared__ __align__(16) bf16 shared[];
  // Where warps are few, products of two tiles hide each other's latency.
  constexpr int ahead = roles == Roles::both ? 1 : 2;
  constexpr bool apart = roles == Roles::by_warp, alone = roles == Roles::by_block;
  const unsigned place = alone ? blockIdx.x / 2 : blockIdx.x;
  const unsigned sequence = place / s.rope.heads, head = place % s.rope.heads;
  const unsigned width = s.rope.heads * s.head_dim, size = s.rows() * stride_of<D>;
  const int64_t first = static_cast<int64_t>(sequence) * s.rope.time;
  const bf16* const from = qkv + first * s.packed_row() + head * s.head_dim;
  bf16 *const q = shared, *const k = q + size, *const v = k + size, *const d = v + size;
  float *const row_lse = reinterpret_cast<float*>(d + size), *const delta = row_lse + s.rows();
  Small forward = s;
  forward.angles.direction = 1.0f;
  // dout, and delta = sum of dout out: a thread a row.
  const bf16* const dout_from = dout + first * width + head * s.head_dim;
  const bf16* const out_from = out + first * width + head * s.head_dim;
  copy_head<D>(s, d, dout_from, width);
  const unsigned own = threadIdx.x;
  Raw<bf16> mixed[D / 8] = {};
  if (own < s.rope.time) {
#pragma unroll
    for (unsigned at = 0; at < D; at += 8)
      if (at < s.head_dim)
        mixed[at / 8] = load_raw(out_from + static_cast<int64_t>(own) * width + at);
  }
  if (own < s.rows())
    row_lse[own] = own < s.rope.time ? lse[static_cast<int64_t>(place) * s.rope.time + own] : 0.0f;
  load_heads<D>(forward, q, k, v, from, factors.value);
  if (own < s.rows()) {
    float sum = 0.0f;
#pragma unroll
    for (unsigned at = 0; at < D; at += 8) {
      float x[8], y[8];
      unpack(mixed[at / 8], x);
      load8(d + own * stride_of<D> + at, y);
#pragma unroll
      for (int e = 0; e < 8; ++e) sum += x[e] * y[e];
    }
    delta[own] = sum;
  }
  __syncthreads();
  const int lane = threadIdx.x % 32, warps = blockDim.x / (apart ? 64 : 32);
  const int warp = threadIdx.x / 32 % warps;
  const bool has_queries = alone ? blockIdx.x % 2 == 0 : !apart || threadIdx.x / 32 < warps;
  const bool has_keys = roles == Roles::both || !has_queries;
  const int tiles = static_cast<int>(s.tiles);
  const Rows<D> in{{q, lane}, {k, lane}, {v, lane}, {d, lane}, row_lse, delta};
  bf16* const to = dqkv + first * s.packed_row() + head * s.head_dim;
  float dq[each][D / 8][4] = {}, dk[each][D / 8][4] = {};
#pragma unroll
  for (int i = 0; i < each; ++i) {
    if (warp + i * warps >= tiles) continue;
    const int tile = tile_of(warp + i * warps, tiles);
    if (has_queries) query_gradient<D, ahead>(dq[i], in, tile, s.logit);
    if (!has_keys) continue;
    float dv[D / 8][4] = {};
    key_gradient<D, ahead>(dk[i], dv, in, tile, tiles, s.logit);
    write_tile<D>(dv, to + 2 * width, s.packed_row(), tile, lane, factors.gradient, s.rope.time,
                  s.head_dim);
  }
  __syncthreads();  // q and k have been read
#pragma unroll
  for (int i = 0; i < each; ++i) {
    if (warp + i * warps >= tiles) continue;
    const int tile = tile_of(warp + i * warps, tiles);
    if (has_queries) write_tile<D>(dq[i], q, stride_of<D>, tile, lane, 1.0f, s.rows(), D);
    if (has_keys) write_tile<D>(dk[i], k, stride_of<D>, tile, lane, 1.0f, s.rows(), D);
  }
  __syncthreads();
  if constexpr (alone)
    write_turned<D, 1>(s, has_queries ? q : nullptr, has_keys ? k : nullptr, factors.qk, to);
  else
    write_turned<D, 2>(s, q, k, factors.qk, to);
}

}  // namespace

void small_attention_backward(const SmallAttention& shape, const void* qkv, const void* out,
                              const float* lse, const void* dout, float value, float qk,
                              float gradient, void* dqkv, Stream stream) {
  if (takes_many_heads(shape))
    return many_heads_backward(shape, qkv, out, lse, dout, value, qk, gradient, dqkv, stream);
  if (takes_few_heads(shape))
    return few_heads_backward(shape, qkv, out, lse, dout, value, qk, gradient, dqkv, stream);
  const Small s = small_of(shape, -1.0f);
  with_head_dim(shape.rope.head_dim, [&](auto dim) {
    constexpr int D = decltype(dim)::value;
    const int rows = static_cast<int>(16 * s.tiles), bytes = rows * (4 * stride_of<D> * 2 + 8);
    const unsigned blocks = static_cast<unsigned>(shape.rope.sequences * shape.rope.heads);
    constexpr int usual = D <= 32 ? 2 : 1;  // tiles a warp; more where all warps have one already
    const bool more = usual == 1 && s.tiles > 8;
    const unsigned threads = 32 * warps_of(s.tiles, more ? 2 : usual);
    const bool alone = 2 * blocks <= processors(), apart = blocks <= processors() && !more;
    const auto kernel = alone   ? backward<D, 1, Roles::by_block>
                        : apart ? backward<D, usual, Roles::by_warp>
                        : more  ? backward<D, 2, Roles::both>
                                : backward<D, usual, Roles::both>;
    allow_shared(kernel, bytes);
    kernel<<<alone ? 2 * blocks : blocks,
             alone   ? 32 * s.tiles
             : apart ? 2 * threads
                     : threads,
             bytes, stream>>>(s, static_cast<const bf16*>(qkv), static_cast<const bf16*>(out), lse,
                              static_cast<const bf16*>(dout),
                              Factors{value, qk * shape.logit, gradient}, static_cast<bf16*>(dqkv));
  });
  check_launch();
}

}  // namespace rung::cuda
