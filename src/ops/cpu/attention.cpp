// Causal attention of one sequence with everything in cache: scores for a few rows at a time
// against transposed keys, so that every inner loop runs along time, and no T x T matrix is ever
// stored.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/cpu/kernels.h"
#include "ops/cpu/row_products.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

using namespace simd;

namespace {

constexpr int64_t row_block = 4;

struct Buffers {
  float *keys_t, *values_t, *keys, *values, *queries, *gradients, *scores, *dscores, *dkeys_t,
      *dvalues_t;
};

Buffers partition(const AttentionShape& s, float* scratch) {
  const int64_t time = round_up(s.time), wide = round_up(s.head_dim);
  Buffers b{};
  auto take = [&scratch](int64_t n) {
    float* p = scratch;
    scratch += n;
    return p;
  };
  b.keys_t = take(s.head_dim * time);
  b.values_t = take(s.head_dim * time);
  b.dkeys_t = take(s.head_dim * time);
  b.dvalues_t = take(s.head_dim * time);
  b.keys = take(s.time * wide);
  b.values = take(s.time * wide);
  b.queries = take(s.time * s.head_dim);
  b.gradients = take(s.time * s.head_dim);
  b.scores = take(row_block * time);
  b.dscores = take(row_block * time);
  return b;
}

// Rotates the two halves of a head by the position's angles (half-split RoPE); `direction` -1
// undoes it.
RUNG_INLINE void rotate(const float* in, float* out, const float* cosine, const float* sine,
                        int64_t dim, float direction) {
  const int64_t half = dim / 2;
  if (!cosine) {
    for (int64_t d = 0; d < dim; ++d) out[d] = in[d];
    return;
  }
  for (int64_t d = 0; d < half; ++d) {
    const float a = in[d], b = in[d + half], c = cosine[d], s = sine[d] * direction;
    out[d] = a * c - b * s;
    out[d + half] = b * c + a * s;
  }
}

RUNG_INLINE void mask_after(float* row, int64_t position, int64_t columns, float value) {
  for (int64_t j = position + 1; j < columns; ++j) row[j] = value;
}

template <int64_t R>
RUNG_INLINE void forward_rows(const AttentionShape& s, const Buffers& b, int64_t first, float* out,
                              int64_t out_stride, float* lse) {
  const int64_t time = round_up(s.time), columns = round_up(first + R);
  products<R>(b.queries + first * s.head_dim, s.head_dim, b.keys_t, time, columns, b.scores);
  float factor[R];
  for (int64_t r = 0; r < R; ++r) {
    float* row = b.scores + r * time;
    mask_after(row, first + r, columns, -std::numeric_limits<float>::infinity());
    F16 top = load(row);
    for (int64_t j = lanes; j < columns; j += lanes) top = max(top, load(row + j));
    const float peak = maximum(top);
    F16 total{};
    for (int64_t j = 0; j < columns; j += lanes) {
      const F16 e = exp((load(row + j) - peak) * s.logit_scale);
      store(row + j, e);
      total += e;
    }
    mask_after(row, first + r, columns, 0.0f);
    const float normaliser = sum(total);
    lse[first + r] = peak * s.logit_scale + std::log(normaliser);
    factor[r] = s.output_scale / normaliser;
  }
  mixtures<R>(b.scores, time, first + R, b.values, round_up(s.head_dim), factor,
              out + first * out_stride, out_stride, s.head_dim);
}

template <int64_t R>
RUNG_INLINE void backward_rows(const AttentionShape& s, const Buffers& b, int64_t first,
                               const float* out, int64_t out_stride, const float* lse,
                               float* dqueries) {
  const int64_t time = round_up(s.time), columns = round_up(first + R), dim = s.head_dim;
  const float* gradient = b.gradients + first * dim;
  products<R>(b.queries + first * dim, dim, b.keys_t, time, columns, b.scores);
  products<R>(gradient, dim, b.values_t, time, columns, b.dscores);
  for (int64_t r = 0; r < R; ++r) {
    float *row = b.scores + r * time, *drow = b.dscores + r * time;
    float dot = 0.0f;
    for (int64_t d = 0; d < dim; ++d)
      dot += gradient[r * dim + d] * out[(first + r) * out_stride + d];
    dot /= s.output_scale;
    for (int64_t j = 0; j < columns; j += lanes) {
      const F16 p = exp(load(row + j) * s.logit_scale - lse[first + r]);
      store(row + j, p * s.gradient_scale);
      store(drow + j, p * (load(drow + j) - dot) * (s.logit_scale * s.gradient_scale));
    }
    mask_after(row, first + r, columns, 0.0f);
    mask_after(drow, first + r, columns, 0.0f);
  }
  float ones[R];
  for (int64_t r = 0; r < R; ++r) ones[r] = 1.0f;
  mixtures<R>(b.dscores, time, first + R, b.keys, round_up(dim), ones, dqueries + first * dim, dim,
              dim);
  outer_products<R>(b.queries + first * dim, dim, b.dscores, time, columns, b.dkeys_t);
  outer_products<R>(gradient, dim, b.scores, time, columns, b.dvalues_t);
}

struct Layout {
  int64_t stride, keys, values;
  explicit Layout(const AttentionShape& s)
      : stride((s.heads + 2 * s.kv_heads) * s.head_dim),
        keys(s.heads * s.head_dim),
        values((s.heads + s.kv_heads) * s.head_dim) {}
};

// A key's own fast pairs and the slow ones of the position before.
RUNG_INLINE void offset_key(const AttentionShape& s, const float* own, const float* before,
                            float* out) {
  const int64_t dim = s.head_dim, half = dim / 2;
  for (int64_t d = 0; d < dim; ++d) out[d] = own[d];
  for (int64_t d = s.fast; d < half; ++d) {
    out[d] = before[d];
    out[half + d] = before[half + d];
  }
}

// Gives the gradient of the key at `t` to where its pairs came from, for t = 0, 1, ... in turn: the
// slow pairs of row t - 1 are complete then, and those of row t so far without a taker.
RUNG_INLINE void return_key(const AttentionShape& s, int64_t t, const float* gradient, float* row,
                            int64_t stride) {
  const int64_t dim = s.head_dim, half = dim / 2;
  for (int64_t d = 0; d < dim; ++d) row[d] = gradient[d];
  if (t == 0) return;
  float* before = row - stride;
  for (const int64_t start : {int64_t{0}, half})
    for (int64_t d = start + s.fast; d < start + half; ++d) {
      before[d] = t == 1 ? before[d] + gradient[d] : gradient[d];
      row[d] = 0.0f;
    }
}

// Rotated keys and values of one key-value head, by rows (padded to sixteen) and transposed.
RUNG_INLINE void load_keys(const AttentionShape& s, const Buffers& b, const float* qkv,
                           int64_t head, const float* cosine, const float* sine) {
  const Layout layout(s);
  const int64_t time = round_up(s.time), wide = round_up(s.head_dim), dim = s.head_dim;
  for (int64_t t = 0; t < time; ++t) {
    if (t >= s.time) {
      for (int64_t d = 0; d < dim; ++d) b.keys_t[d * time + t] = b.values_t[d * time + t] = 0.0f;
      continue;
    }
    const float* row = qkv + t * layout.stride;
    float *key = b.keys + t * wide, *value = b.values + t * wide;
    offset_key(s, row + layout.keys + head * dim,
               row + layout.keys + head * dim - (t > 0 ? layout.stride : 0), key);
    rotate(key, key, cosine ? cosine + t * (dim / 2) : nullptr,
           sine ? sine + t * (dim / 2) : nullptr, dim, 1.0f);
    for (int64_t d = 0; d < dim; ++d) {
      value[d] = row[layout.values + head * dim + d];
      b.keys_t[d * time + t] = key[d];
      b.values_t[d * time + t] = value[d];
    }
    for (int64_t d = dim; d < wide; ++d) key[d] = value[d] = 0.0f;
  }
}

RUNG_INLINE void load_queries(const AttentionShape& s, const Buffers& b, const float* qkv,
                              int64_t head, const float* cosine, const float* sine) {
  const Layout layout(s);
  for (int64_t t = 0; t < s.time; ++t)
    rotate(qkv + t * layout.stride + head * s.head_dim, b.queries + t * s.head_dim,
           cosine ? cosine + t * (s.head_dim / 2) : nullptr,
           sine ? sine + t * (s.head_dim / 2) : nullptr, s.head_dim, 1.0f);
}

}  // namespace

int64_t attention_scratch(const AttentionShape& s) {
  const int64_t time = round_up(s.time), wide = round_up(s.head_dim);
  return 4 * s.head_dim * time + 2 * s.time * wide + 3 * s.time * s.head_dim +
         2 * row_block * time + lanes;
}

RUNG_MULTIVERSION
void attention_forward(const AttentionShape& s, const float* qkv, const float* cosine,
                       const float* sine, float* out, float* lse, float* scratch) {
  const Buffers b = partition(s, scratch);
  const int64_t group = s.heads / s.kv_heads, out_stride = s.heads * s.head_dim;
  for (int64_t head = 0; head < s.heads; ++head) {
    if (head % group == 0) load_keys(s, b, qkv, head / group, cosine, sine);
    load_queries(s, b, qkv, head, cosine, sine);
    float* head_out = out + head * s.head_dim;
    float* head_lse = lse + head * s.time;
    int64_t t = 0;
    for (; t + row_block <= s.time; t += row_block)
      forward_rows<row_block>(s, b, t, head_out, out_stride, head_lse);
    for (; t < s.time; ++t) forward_rows<1>(s, b, t, head_out, out_stride, head_lse);
  }
}

RUNG_MULTIVERSION
void attention_backward(const AttentionShape& s, const float* qkv, const float* cosine,
                        const float* sine, const float* out, const float* lse, const float* dout,
                        float* dqkv, float* scratch) {
  const Buffers b = partition(s, scratch);
  const Layout layout(s);
  const int64_t group = s.heads / s.kv_heads, out_stride = s.heads * s.head_dim, dim = s.head_dim;
  const int64_t time = round_up(s.time);
  float* dqueries = b.dscores + row_block * time;
  for (int64_t head = 0; head < s.heads; ++head) {
    if (head % group == 0) {
      load_keys(s, b, qkv, head / group, cosine, sine);
      std::fill(b.dkeys_t, b.dkeys_t + dim * time, 0.0f);
      std::fill(b.dvalues_t, b.dvalues_t + dim * time, 0.0f);
    }
    load_queries(s, b, qkv, head, cosine, sine);
    for (int64_t t = 0; t < s.time; ++t)
      for (int64_t d = 0; d < dim; ++d)
        b.gradients[t * dim + d] = dout[t * out_stride + head * dim + d];
    int64_t t = 0;
    for (; t + row_block <= s.time; t += row_block)
      backward_rows<row_block>(s, b, t, out + head * dim, out_stride, lse + head * s.time,
                               dqueries);
    for (; t < s.time; ++t)
      backward_rows<1>(s, b, t, out + head * dim, out_stride, lse + head * s.time, dqueries);
    const int64_t half = cosine ? dim / 2 : 0;
    for (t = 0; t < s.time; ++t)
      rotate(dqueries + t * dim, dqkv + t * layout.stride + head * dim,
             cosine ? cosine + t * half : nullptr, sine ? sine + t * half : nullptr, dim, -1.0f);
    if ((head + 1) % group != 0) continue;
    for (t = 0; t < s.time; ++t) {
      float* row = dqkv + t * layout.stride;
      float* key = b.keys + t * round_up(dim);  // the keys are done with: reuse their rows
      for (int64_t d = 0; d < dim; ++d) {
        key[d] = b.dkeys_t[d * time + t];
        row[layout.values + head / group * dim + d] = b.dvalues_t[d * time + t];
      }
      rotate(key, key, cosine ? cosine + t * half : nullptr, sine ? sine + t * half : nullptr, dim,
             -1.0f);
      return_key(s, t, key, row + layout.keys + head / group * dim, layout.stride);
    }
  }
}

}  // namespace rung::cpu
