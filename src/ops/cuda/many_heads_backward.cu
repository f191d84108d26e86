#include "ops/cuda/device.h"
#include "ops/cuda/many_heads.h"
#include "ops/cuda/many_heads_write.cuh"

namespace rung::cuda {
namespace {

// Where a head lies in shared memory, addresses: rotated q (times the logit's factor and log2 e)
// and k, v, dout, and by pairs of queries {-lse, -lse', -lse, -lse'} (base 2) and {-delta, ..},
// which are what products of keys with queries start from.
struct Places {
  uint32_t q, k, v, dout, starts, scratch;
};

template <int D>
struct Load {
  const Small& s;
  const bf16 *qkv, *out, *dout;
  const float* lse;
  float over_value;
};

__device__ inline void store_start(uint32_t starts, unsigned row, float lse, float delta) {
  const uint32_t at = starts + row / 2 * 32 + row % 2 * 4;
  asm volatile("st.shared.f32 [%0], %1;\n\tst.shared.f32 [%0+8], %1;" ::"r"(at), "f"(-lse)
               : "memory");
  asm volatile("st.shared.f32 [%0+16], %1;\n\tst.shared.f32 [%0+24], %1;" ::"r"(at), "f"(-delta)
               : "memory");
}

// A head's rows into shared memory; the block has not synchronised afterwards.
template <int D>
__device__ void load_head(const Load<D>& in, const Places& to) {
  constexpr unsigned pieces = D / 8;
  const Small& s = in.s;
  const unsigned width = s.rope.heads * D;
  const bool turns = s.angles.cosine != nullptr;
#pragma unroll
  for (unsigned i = 0; i < pieces; ++i) {
    const Item<D> at(i);
    const bool real = at.row < s.rope.time;
    copy_async<16>(to.v + at.place(), in.qkv + (real ? at.element(s.packed_row()) + 2 * width : 0),
                   real);
  }
  commit_copies();
#pragma unroll
  for (unsigned i = 0; i < pieces; i += 2) {
    Raw<bf16> a[2], b[2], mixed[2], up[2];
    RopePiece rope[2];
    float lse[2];
#pragma unroll
    for (unsigned j = 0; j < 2; ++j) {
      const Item<D> at(i + j);
      const unsigned row = min(at.row, s.rope.time - 1);
      const bf16* const line = in.qkv + (row * s.packed_row() + 8 * at.piece);
      a[j] = load_raw(line), b[j] = load_raw(line + width);
      mixed[j] = load_raw(in.out + (row * width + 8 * at.piece));
      up[j] = load_raw(in.dout + (row * width + 8 * at.piece));
      lse[j] = in.lse[row];
      if (turns) load_rope<D>(rope[j], s.angles, row, at.piece);
    }
#pragma unroll
    for (unsigned j = 0; j < 2; ++j) {
      const Item<D> at(i + j);
      const bool real = at.row < s.rope.time;
      float x[8], y[8], delta = 0.0f;
      turn_piece<D>(x, a[j], rope[j], turns, at.second());
      turn_piece<D>(y, b[j], rope[j], turns, at.second());
#pragma unroll
      for (int e = 0; e < 8; ++e) x[e] *= s.logit;
      store_shared(to.q + at.place(), packed(x, real));
      store_shared(to.k + at.place(), packed(y, real));
      store_shared(to.dout + at.place(), real ? up[j].word[0] : make_uint4(0, 0, 0, 0));
      unpack(mixed[j], x);
      unpack(up[j], y);
#pragma unroll
      for (int e = 0; e < 8; ++e) delta += x[e] * y[e];
      delta = group_sum<static_cast<int>(pieces)>(delta);
      // Rows beyond the sequence have powers 1, whose gradients are 0.
      if (at.piece == 0)
        store_start(to.starts, at.row, real ? lse[j] : 0.0f, real ? delta * in.over_value : 0.0f);
    }
  }
}

// From scores less their logarithms of sums, and dp less delta, to p and its scores' gradients ds,
// packed; `hidden` says which are masked.
template <class Hidden>
__device__ inline void gradients_of(float (&s)[2][4], const float (&dp)[2][4], const Hidden& hidden,
                                    bool masked, Quad* p, Quad& ds) {
#pragma unroll
  for (int e = 0; e < 8; ++e) s[e / 4][e % 4] = exp2_fast(s[e / 4][e % 4]);
  if (masked)
#pragma unroll
    for (int e = 0; e < 8; ++e)
      if (hidden(e / 4, e % 4)) s[e / 4][e % 4] = 0.0f;
  if (p) as_a(*p, s[0], s[1]);
#pragma unroll
  for (int e = 0; e < 8; ++e) s[e / 4][e % 4] *= dp[e / 4][e % 4];
  as_a(ds, s[0], s[1]);
}

// What a step does with one of a warp's two tiles.
enum class Part { none, diagonal, whole };

// Two tiles of keys, from `tile` on, whose gradients a warp sums.
template <int D>
struct KeyGradients {
  Quad k[2][D / 16], v[2][D / 16];
  float dk[2][D / 8][4] = {}, dv[2][D / 8][4] = {};
  static constexpr bool reload = D == 32;  // registers do not hold v as well

  template <Part first, Part second>
  __device__ inline void take(const Places& in, const TileLane<D>& at, int tile, int query, int g,
                              int c) {
    constexpr uint32_t step = 32 * D;
    constexpr Part parts[2] = {first, second};
    const uint32_t start = in.starts + (8 * query + c) * 32;
    Quad p[2], ds[2];
    {
      Quad q[D / 16], d[D / 16];
      load_down<D>(q, in.q + query * step, at.down);
      load_down<D>(d, in.dout + query * step, at.down);
#pragma unroll
      for (int t = 0; t < 2; ++t) {
        if (parts[t] == Part::none) continue;
        float s[2][4], dp[2][4];
        load_start(s[0], start), load_start(s[1], start + 128);
        load_start(dp[0], start + 16), load_start(dp[1], start + 144);
        pairs_product<D>(s, k[t], q, s[0], s[1]);
        if (reload) load_across<D>(v[t], in.v + (tile + t) * step, at.across);
        pairs_product<D>(dp, v[t], d, dp[0], dp[1]);
        gradients_of(
            s, dp, [&](int n, int e) { return g + e / 2 * 8 > 8 * n + 2 * c + e % 2; },
            parts[t] == Part::diagonal, &p[t], ds[t]);
      }
    }
    Quad columns[D / 16], d_columns[D / 16];
    load_turned<D>(columns, in.q + query * step, at.across);
    load_turned<D>(d_columns, in.dout + query * step, at.across);
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      if (parts[t] == Part::none) continue;
      add_pairs<D>(dv[t], p[t], d_columns);
      add_pairs<D>(dk[t], ds[t], columns);
    }
  }

  // Over the queries from the keys on.
  __device__ inline void sum(const Places& in, const TileLane<D>& at, int tile, int tiles,
                             unsigned lane) {
    constexpr uint32_t step = 32 * D;
    const int g = lane / 4, c = lane % 4;
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      load_across<D>(k[t], in.k + (tile + t) * step, at.across);
      if (!reload) load_across<D>(v[t], in.v + (tile + t) * step, at.across);
    }
    take<Part::diagonal, Part::none>(in, at, tile, tile, g, c);
    take<Part::whole, Part::diagonal>(in, at, tile, tile + 1, g, c);
#pragma unroll 1
    for (int query = tile + 2; query < tiles; ++query)
      take<Part::whole, Part::whole>(in, at, tile, query, g, c);
  }
};

// Two tiles of queries, from `tile` on, whose gradients a warp sums.
template <int D>
struct QueryGradients {
  Quad q[2][D / 16], d[2][D / 16];
  float lse[2][4], delta[2][4], dq[2][D / 8][4] = {};

  template <Part first, Part second>
  __device__ inline void take(const Places& in, const TileLane<D>& at, int key, int g, int c) {
    constexpr uint32_t step = 32 * D;
    constexpr Part parts[2] = {first, second};
    Quad k[D / 16], v[D / 16], columns[D / 16];
    load_down<D>(k, in.k + key * step, at.down);
    load_down<D>(v, in.v + key * step, at.down);
    load_turned<D>(columns, in.k + key * step, at.across);
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      if (parts[t] == Part::none) continue;
      float s[2][4], dp[2][4];
      pairs_product<D>(s, q[t], k, lse[t], lse[t]);
      pairs_product<D>(dp, d[t], v, delta[t], delta[t]);
      Quad ds;
      gradients_of(
          s, dp, [&](int n, int e) { return 8 * n + 2 * c + e % 2 > g + e / 2 * 8; },
          parts[t] == Part::diagonal, nullptr, ds);
      add_pairs<D>(dq[t], ds, columns);
    }
  }

  // Over the keys up to the queries.
  __device__ inline void sum(const Places& in, const TileLane<D>& at, int tile, unsigned lane) {
    constexpr uint32_t step = 32 * D;
    const int g = lane / 4, c = lane % 4;
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      load_across<D>(q[t], in.q + (tile + t) * step, at.across);
      load_across<D>(d[t], in.dout + (tile + t) * step, at.across);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const unsigned row = 16 * (tile + t) + g + 8 * r;
        const uint32_t start = in.starts + row / 2 * 32 + row % 2 * 4;
        // Each copy by a load of its own stays in a register of its own, as a product's start.
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          lse[t][2 * r + e] = load_number(start + 8 * e);
          delta[t][2 * r + e] = load_number(start + 16 + 8 * e);
        }
      }
    }
#pragma unroll 1
    for (int key = 0; key < tile; ++key) take<Part::whole, Part::whole>(in, at, key, g, c);
    take<Part::diagonal, Part::whole>(in, at, tile, g, c);
    take<Part::none, Part::diagonal>(in, at, tile + 1, g, c);
  }
};

struct Factors {
  float over_value, q, k, v;
};

template <int D>
__global__ void __launch_bounds__(256, 2)
    many_backward(Small s, const bf16* __restrict__ qkv, const bf16* __restrict__ out,
                  const float* __restrict__ lse, const bf16* __restrict__ dout, Factors factors,
                  bf16* __restrict__ dqkv) {
  extern __shared__ __align__(16) bf16 shared[];
  const unsigned sequence = blockIdx.y, head = blockIdx.x, block = sequence * gridDim.x + head;
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32, rows = blockDim.x;
  const uint32_t base = shared_address(shared), size = rows * 2 * D;
  const Places in{base,
                  base + size,
                  base + 2 * size,
                  base + 3 * size,
                  base + 4 * size,
                  base + 4 * size + 16 * rows + warp * 32 * D};
  const unsigned width = s.rope.heads * D;
  const int64_t first = static_cast<int64_t>(sequence) * s.rope.time;
  load_head<D>({s, qkv + first * s.packed_row() + head * D, out + first * width + head * D,
                dout + first * width + head * D, lse + static_cast<int64_t>(block) * s.rope.time,
                factors.over_value},
               in);
  wait_copies<0>();
  __syncthreads();
  const TileLane<D> at(lane);
  const int tile = 2 * warp, tiles = static_cast<int>(s.tiles);
  Writer<D> writer{
      s, in.scratch, lane, at.across, dqkv + first * s.packed_row() + head * D, s.packed_row()};
  {
    QueryGradients<D> of;
    of.sum(in, at, tile, lane);
#pragma unroll
    for (int t = 0; t < 2; ++t) writer.write_turned(of.dq[t], tile + t, factors.q);
  }
  KeyGradients<D> of;
  of.sum(in, at, tile, tiles, lane);
#pragma unroll
  for (int t = 0; t < 2; ++t) {
    writer.to += width;
    writer.write_turned(of.dk[t], tile + t, factors.k);
    writer.to += width;
    writer.write_scaled(of.dv[t], tile + t, factors.v);
    writer.to -= 2 * width;
  }
}

}  // namespace

void many_heads_backward(const SmallAttention& shape, const void* qkv, const void* out,
                         const float* lse, const void* dout, float value, float qk, float gradient,
                         void* dqkv, Stream stream) {
  const Small s = small_of(shape, 1.0f);
  const unsigned warps = tile_pairs(s.tiles), rows = 32 * warps;
  // p's gradient is value (dp - delta / value), and q has logit log2(e) in it.
  const Factors factors{1.0f / value, qk * value * shape.logit, qk * value / log2_e, gradient};
  const dim3 grid(s.rope.heads, static_cast<unsigned>(shape.rope.sequences));
  with_whole_head(shape.rope.head_dim, [&](auto dim) {
    constexpr int D = decltype(dim)::value;
    const int bytes = static_cast<int>(rows * (4 * 2 * D + 16) + warps * 32 * D);
    allow_shared(many_backward<D>, bytes);
    many_backward<D><<<grid, rows, bytes, stream>>>(
        s, static_cast<const bf16*>(qkv), static_cast<const bf16*>(out), lse,
        static_cast<const bf16*>(dout), factors, static_cast<bf16*>(dqkv));
  });
  check_launch();
}

}  // namespace rung::cuda
