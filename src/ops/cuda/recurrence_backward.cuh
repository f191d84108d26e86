// The gradient of one chunk of recurrence.h, in pieces that follow each other.
#pragma once
#include "ops/cuda/recurrence.cuh"

namespace rung::cuda {

constexpr int gradient_threads = 256;  // warps share 16 steps in twos, each has half of the columns

// With weights D_ij = 2^(from_j - to_i), scores A = q k^T and G_ij = dy_i v_j (+ delta_i), the
// chunk's own part is dq = (D G) k, dk = (D G)^T q, dv = (D A)^T dy; through the state before it
// and the gradient of the state behind it go the others. E = D A G are gradients of logarithms.
template <int N, int P>
struct GradientMemory {
  bf16 q[chunk_steps * pitch<N>], k[chunk_steps * pitch<N>], v[chunk_steps * pitch<P>],
      dy[chunk_steps * pitch<P>], state[N * pitch<P>], dstate[N * pitch<P>],
      da[chunk_steps * pitch<chunk_steps>], dg[chunk_steps * pitch<chunk_steps>];  // D A and D G
  float from[chunk_steps], to[chunk_steps], delta[chunk_steps], norm[N], dnorm[N];
  // Sums of E over keys and queries, of what comes from before and goes behind the chunk, by step
  // and the warps that have parts of them; and of what passes through the chunk.
  float by_query[2][chunk_steps], by_key[4][chunk_steps], before[2][chunk_steps],
      behind[2][chunk_steps], through[gradient_threads / 32], skipped[gradient_threads / 32];
};

struct Gradients {
  const bf16 *q, *k, *v, *dy;
  int64_t q_stride, k_stride, v_stride;
  const float *from, *to, *ends, *delta;
  const bf16 *states, *dstates;
  const float *norms, *dnorms, *first, *second, *skip;
  bf16 *dq, *dk, *dv;
  int64_t dq_stride, dk_stride, dv_stride;
  float *dfirst, *dsecond, *dskip;
};

// Where a warp stands: its 16 steps, its half of the columns, and its lane's row and column.
struct Stand {
  int lane, tile, half;
  __device__ int row(int e) const { return 16 * tile + lane / 4 + e / 2 * 8; }
  __device__ int column(int n, int e) const { return 8 * n + 2 * (lane % 4) + e % 2; }
};

template <int N, int P>
__device__ void load_head(const Chunked& s, const Gradients& in, GradientMemory<N, P>& to,
                          const Place& at, int head, bool normalised) {
  const int64_t block = at.block(s, head), line_stride = static_cast<int64_t>(s.heads) * s.values;
  load_rows<P>(to.v, in.v + at.first * in.v_stride + head * s.values, in.v_stride, chunk_steps,
               at.steps, s.values);
  load_rows<P>(to.dy, in.dy + at.first * line_stride + head * s.values, line_stride, chunk_steps,
               at.steps, s.values);
  load_rows<P>(to.state, in.states + block * N * P, P, N, N, P);
  load_rows<P>(to.dstate, in.dstates + block * N * P, P, N, N, P);
  load_floats(to.from, in.from + block * chunk_steps, chunk_steps, 0);
  load_floats(to.to, in.to + block * chunk_steps, chunk_steps, 16);
  if (!normalised) return;
  load_floats(to.delta, in.delta + block * chunk_steps, chunk_steps, 32);
  load_floats(to.norm, in.norms + block * N, N, 64);
  load_floats(to.dnorm, in.dnorms + block * N, N, 96);
}

// Scores of the warp's 16 queries with the keys of its half, up to the diagonal.
template <int N, int P>
__device__ void score(const GradientMemory<N, P>& in, const Stand& w, float (&scores)[2][2][4]) {
  const Tile<pitch<N>> q{in.q, w.lane}, k{in.k, w.lane};
  for (int n = 0; n < N / 16; ++n) {
    Quad a;
    q.as_a(a, w.tile, n);
#pragma unroll
    for (int t = 0; t < 2; ++t)
      if (2 * w.half + t <= w.tile) add_transposed(scores[t], a, k, 2 * w.half + t, n);
  }
}

// D A and D G into shared memory, and the sums of E.
template <int N, int P, bool normalised>
__device__ void weigh(GradientMemory<N, P>& in, const Stand& w, const float (&scores)[2][2][4]) {
  float g[2][2][4] = {}, by_query[2] = {};
  const Tile<pitch<P>> dy{in.dy, w.lane}, v{in.v, w.lane};
#pragma unroll
  for (int k = 0; k < P / 16; ++k) {
    Quad a;
    dy.as_a(a, w.tile, k);
#pragma unroll
    for (int t = 0; t < 2; ++t)
      if (2 * w.half + t <= w.tile) add_transposed(g[t], a, v, 2 * w.half + t, k);
  }
#pragma unroll
  for (int t = 0; t < 2; ++t) {
    const int first = 32 * w.half + 16 * t;
    if (first > 16 * w.tile) continue;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      float da[4], dg[4], by_key[2] = {};
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int i = w.row(e), j = first + w.column(n, e);
        const float weight = j > i ? 0.0f : exp2_fast(in.from[j] - in.to[i]);
        da[e] = weight * scores[t][n][e];
        dg[e] = weight * (g[t][n][e] + (normalised ? in.delta[i] : 0.0f));
        const float both = dg[e] * scores[t][n][e];
        by_query[e / 2] += both;
        by_key[e % 2] += both;
      }
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int at = w.row(2 * r) * pitch<chunk_steps> + first + w.column(n, 0);
        *reinterpret_cast<uint32_t*>(in.da + at) = pack2(da[2 * r], da[2 * r + 1]);
        *reinterpret_cast<uint32_t*>(in.dg + at) = pack2(dg[2 * r], dg[2 * r + 1]);
      }
#pragma unroll
      for (int e = 0; e < 2; ++e) {
#pragma unroll
        for (int offset = 4; offset < 32; offset *= 2)
          by_key[e] += __shfl_xor_sync(0xffffffffu, by_key[e], offset);
        if (w.lane < 4) in.by_key[w.tile][first + w.column(n, e)] = by_key[e];
      }
    }
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    by_query[r] = group_sum<4>(by_query[r]);
    if (w.lane % 4 == 0) in.by_query[w.half][w.row(2 * r)] = by_query[r];
  }
}

// sum += factor (x state^T + delta norm) for 16 rows x of P columns and the half of N columns; dots
// receives that, times `with`, summed by row.
template <int N, int P, bool normalised>
__device__ void through_state(const Stand& w, const bf16* x, const bf16* state, const float* norm,
                              const float (&delta)[2], const float (&factor)[2], const bf16* with,
                              float (&sum)[N / 16][4], float* dots) {
  const Tile<pitch<P>> rows{x, w.lane}, columns{state, w.lane};
  Quad a[P / 16];
#pragma unroll
  for (int k = 0; k < P / 16; ++k) rows.as_a(a[k], w.tile, k);
  float dot[2] = {};
#pragma unroll
  for (int b = 0; b < N / 32; ++b) {
    const int block = w.half * (N / 32) + b;
    float part[2][4] = {};
#pragma unroll
    for (int k = 0; k < P / 16; ++k) add_transposed(part, a[k], columns, block, k);
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int column = 16 * block + w.column(n, 0);
        const uint32_t pair =
            *reinterpret_cast<const uint32_t*>(with + w.row(2 * r) * pitch<N> + column);
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          float value = part[n][2 * r + e];
          if (normalised) value += delta[r] * norm[column + e];
          value *= factor[r];
          dot[r] += value * __uint_as_float(e ? pair & 0xffff0000u : pair << 16);
          sum[2 * b + n][2 * r + e] += value;
        }
      }
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    dot[r] = group_sum<4>(dot[r]);
    if (w.lane % 4 == 0) dots[w.row(2 * r)] = dot[r];
  }
}

// What is added to the gradients of the warp's 16 queries, and of its 16 keys.
template <int N, int P, bool normalised>
__device__ void add_query_and_key(GradientMemory<N, P>& in, const Stand& w, float2 ends,
                                  float (&dq)[N / 16][4], float (&dk)[N / 16][4]) {
  const Tile<pitch<chunk_steps>> dg{in.dg, w.lane};
  const Tile<pitch<N>> q{in.q, w.lane}, k{in.k, w.lane};
  const int first = w.half * (N / 32);
  float carried[2], left[2], delta[2] = {};
  const float one[2] = {1.0f, 1.0f};
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    carried[r] = exp2f(ends.x - in.to[w.row(2 * r)]);
    left[r] = exp2f(in.from[w.row(2 * r)] - ends.y);
    if (normalised) delta[r] = in.delta[w.row(2 * r)];
  }
  through_state<N, P, normalised>(w, in.dy, in.state, in.norm, delta, carried, in.q, dq,
                                  in.before[w.half]);
#pragma unroll
  for (int t = 0; t < 4; ++t) {
    if (t > w.tile) continue;
    Quad a;
    dg.as_a(a, w.tile, t);
    add_product(dq, a, k, t, first);
  }
  through_state<N, P, normalised>(w, in.v, in.dstate, in.dnorm, one, left, in.k, dk,
                                  in.behind[w.half]);
#pragma unroll
  for (int t = 0; t < 4; ++t) {
    if (t < w.tile) continue;
    Quad a;
    dg.as_a_of_columns(a, t, w.tile);
    add_product(dk, a, q, t, first);
  }
}

// The gradient of the warp's 16 values, its half of the columns.
template <int N, int P>
__device__ void value_gradient(const GradientMemory<N, P>& in, const Stand& w, float2 ends,
                               float skip, float (&dv)[P / 16][4]) {
  const Tile<pitch<chunk_steps>> da{in.da, w.lane};
  const Tile<pitch<N>> k{in.k, w.lane};
  const Tile<pitch<P>> dstate{in.dstate, w.lane}, dy{in.dy, w.lane};
  const int first = w.half * (P / 32);
#pragma unroll
  for (int n = 0; n < N / 16; ++n) {
    Quad a;
    k.as_a(a, w.tile, n);
    add_product(dv, a, dstate, n, first);
  }
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const float left = exp2f(in.from[w.row(e)] - ends.y);
#pragma unroll
    for (int n = 0; n < P / 16; ++n) dv[n][e] *= left;
  }
#pragma unroll
  for (int t = 0; t < 4; ++t) {
    if (t < w.tile) continue;
    Quad a;
    da.as_a_of_columns(a, t, w.tile);
    add_product(dv, a, dy, t, first);
  }
  if (skip == 0.0f) return;
#pragma unroll
  for (int n = 0; n < P / 16; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      dv[n][e] += skip * to_float(in.dy[w.row(e) * pitch<P> + 16 * first + w.column(n, e)]);
}

// This thread's part of the product of two matrices of rows of P numbers.
template <int P>
__device__ float product(const bf16* x, const bf16* y, int rows) {
  float sum = 0.0f;
  for (int i = threadIdx.x; i < rows * P / 8; i += gradient_threads) {
    const int at = i / (P / 8) * pitch<P> + i % (P / 8) * 8;
    float a[8], b[8];
    load8(x + at, a);
    load8(y + at, b);
#pragma unroll
    for (int e = 0; e < 8; ++e) sum += a[e] * b[e];
  }
  return sum;
}

// The warps' parts of <state, dstate>, its factor aside, and of the skip's gradient <v, dy>.
template <int N, int P, bool normalised>
__device__ void products(GradientMemory<N, P>& in, bool skips) {
  float through = product<P>(in.state, in.dstate, N);
  if (normalised && threadIdx.x < N) through += in.norm[threadIdx.x] * in.dnorm[threadIdx.x];
  through = group_sum<32>(through);
  if (threadIdx.x % 32 == 0) in.through[threadIdx.x / 32] = through;
  if (normalised || !skips) return;
  const float skipped = group_sum<32>(product<P>(in.v, in.dy, chunk_steps));
  if (threadIdx.x % 32 == 0) in.skipped[threadIdx.x / 32] = skipped;
}

}  // namespace rung::cuda
