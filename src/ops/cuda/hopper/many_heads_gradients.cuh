// Gradients of a short head (many_heads.h): where it lies in shared memory, and what a warp sums
// over two tiles of its keys or queries.
#pragma once
#include "ops/cuda/hopper/many_heads_write.cuh"

namespace rung::cuda {

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

// A head's rows into shared memory, `each` pieces of 16 bytes a thread; the block has not
// synchronised afterwards.
template <int D, unsigned each = D / 8>
__device__ void load_head(const Load<D>& in, const Places& to) {
  constexpr unsigned pieces = D / 8, batch = each < 2 ? each : 2;
  const Small& s = in.s;
  const unsigned width = s.rope.heads * D;
  const bool turns = s.angles.cosine != nullptr;
#pragma unroll
  for (unsigned i = 0; i < each; ++i) {
    const Item<D> at(i);
    const bool real = at.row < s.rope.time;
    copy_async<16>(to.v + at.place(), in.qkv + (real ? at.element(s.packed_row()) + 2 * width : 0),
                   real);
  }
  commit_copies();
#pragma unroll
  for (unsigned i = 0; i < each; i += batch) {
    Raw<bf16> a[batch], b[batch], mixed[batch], up[batch];
    RopePiece rope[batch];
    float lse[batch];
#pragma unroll
    for (unsigned j = 0; j < batch; ++j) {
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
    for (unsigned j = 0; j < batch; ++j) {
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

  __device__ inline void load(const Places& in, const TileLane<D>& at, int tile) {
    constexpr uint32_t step = 32 * D;
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      load_across<D>(k[t], in.k + (tile + t) * step, at.across);
      if (!reload) load_across<D>(v[t], in.v + (tile + t) * step, at.across);
    }
  }
  // Over every other query from the keys on, that of the first or of the second tile and so on.
  __device__ inline void sum_half(const Places& in, const TileLane<D>& at, int tile, int tiles,
                                  unsigned lane, unsigned half) {
    const int g = lane / 4, c = lane % 4;
    load(in, at, tile);
    if (half == 0)
      take<Part::diagonal, Part::none>(in, at, tile, tile, g, c);
    else
      take<Part::whole, Part::diagonal>(in, at, tile, tile + 1, g, c);
#pragma unroll 1
    for (int query = tile + 2 + static_cast<int>(half); query < tiles; query += 2)
      take<Part::whole, Part::whole>(in, at, tile, query, g, c);
  }
  // Over the queries from the keys on.
  __device__ inline void sum(const Places& in, const TileLane<D>& at, int tile, int tiles,
                             unsigned lane) {
    const int g = lane / 4, c = lane % 4;
    load(in, at, tile);
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

  __device__ inline void load(const Places& in, const TileLane<D>& at, int tile, int g) {
    constexpr uint32_t step = 32 * D;
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
  }
  // Over every other key up to the queries, from the first or from the second tile on.
  __device__ inline void sum_half(const Places& in, const TileLane<D>& at, int tile, unsigned lane,
                                  unsigned half) {
    const int g = lane / 4, c = lane % 4;
    load(in, at, tile, g);
#pragma unroll 1
    for (int key = static_cast<int>(half); key < tile; key += 2)
      take<Part::whole, Part::whole>(in, at, key, g, c);
    if (half == 0)
      take<Part::diagonal, Part::whole>(in, at, tile, g, c);
    else
      take<Part::none, Part::diagonal>(in, at, tile + 1, g, c);
  }
  // Over the keys up to the queries.
  __device__ inline void sum(const Places& in, const TileLane<D>& at, int tile, unsigned lane) {
    const int g = lane / 4, c = lane % 4;
    load(in, at, tile, g);
#pragma unroll 1
    for (int key = 0; key < tile; ++key) take<Part::whole, Part::whole>(in, at, key, g, c);
    take<Part::diagonal, Part::whole>(in, at, tile, g, c);
    take<Part::none, Part::diagonal>(in, at, tile + 1, g, c);
  }
};

// What a backward pass multiplies its gradients by; p's own is value (dp - delta / value), and q
// has the logit and log2(e) in it.
struct HeadFactors {
  float over_value, q, k, v;
};
inline HeadFactors head_factors(float logit, float value, float qk, float gradient) {
  return {1.0f / value, qk * value * logit, qk * value / log2_e, gradient};
}

}  // namespace rung::cuda
