// Fused float32 kernels for one thread, on plain pointers: no tensors, no allocation, fixed
// summation order. Rows are contiguous. The twins in src/ops/*.cpp say what each computes.
#pragma once
#include <cstdint>

#include "ops/moments.h"
#include "ops/rounding.h"

namespace rung::cpu {

struct NormShape {
  int64_t rows, width;
  float epsilon;
  bool center;  // LayerNorm subtracts the mean
};

// h = skip x + branch f (f may be null: h = x, not written); y = (h - mean) * rstd * gain (gain may
// be null).
void add_norm_forward(const NormShape& shape, const float* x, const float* f, float skip,
                      float branch, const float* gain, float* h, float* y, float* mean,
                      float* rstd);

// dx = dh + input_gradient * dnorm(dy). dh may be null; dgain (accumulated) may be null.
void norm_backward(const NormShape& shape, const float* h, const float* mean, const float* rstd,
                   const float* gain, const float* dy, const float* dh, float input_gradient,
                   float* dx, float* dgain);

// out = scale * gate * sigmoid(slope * gate) * up, input rows [gate | up], each `width` long.
void swiglu_forward(int64_t rows, int64_t width, const float* input, float slope, float scale,
                    float* out);
void swiglu_backward(int64_t rows, int64_t width, const float* input, const float* dout,
                     float slope, float scale, float* dinput);

// Per row: loss = lse(logits) - logits[target]; logits become scale * (softmax - onehot) unless
// scale is 0.
void cross_entropy(int64_t rows, int64_t vocabulary, float* logits, const int64_t* targets,
                   float scale, float* loss);

// Every one of `rows` rows of `width` has `picks` rows of a table of its own, at `index` [rows,
// picks].
struct PickShape {
  int64_t rows, picks, width;
};
// a[r, s] = factor <table[index[r, s]], x[r]>.
void pick_dots(const PickShape& shape, const float* table, const int64_t* index, const float* x,
               float factor, float* a);
// y[r] = factor sum_s w[r, s] table[index[r, s]].
void pick_sum(const PickShape& shape, const float* table, const int64_t* index, const float* w,
              float factor, float* y);
// table[index[r, s]] += factor a[r, s] v[r], in order.
void pick_add(const PickShape& shape, const int64_t* index, const float* a, const float* v,
              float factor, float* table);

// x H of every row in place, n a power of two.
void hadamard(int64_t rows, int64_t n, float* x);

// Of each row: the places in a and b, `n` long, of the k largest of all sums, largest first.
void top_sums(int64_t rows, int64_t n, int64_t k, const float* a, const float* b, int64_t* first,
              int64_t* second);

struct AttentionShape {
  int64_t time, heads, kv_heads, head_dim;
  float logit_scale;     // multiplies q.k
  float output_scale;    // multiplies the output
  float gradient_scale;  // multiplies the gradients of q, k and v
  int64_t fast;          // pairs of a key that are its own; the others are the position before's
};
// One sequence of packed rows [q heads | k kv_heads | v kv_heads]; rope tables [time, head_dim / 2]
// or null. `lse` is [heads, time]; scratch as attention_scratch says.
int64_t attention_scratch(const AttentionShape& shape);
void attention_forward(const AttentionShape& shape, const float* qkv, const float* cosine,
                       const float* sine, float* out, float* lse, float* scratch);
void attention_backward(const AttentionShape& shape, const float* qkv, const float* cosine,
                        const float* sine, const float* out, const float* lse, const float* dout,
                        float* dqkv, float* scratch);

struct ConvShape {
  int64_t time, channels, size;
};
// One sequence: x [time, channels], past [size - 1, channels], filter [size, channels], bias
// [channels]. y = silu(bias + filter * x), causal.
struct ConvArrays {
  const float *x, *past, *filter, *bias;
};
void conv_silu_forward(const ConvShape& shape, const ConvArrays& in, float* y);
// dfilter and dbias are added to; nothing goes to the past.
void conv_silu_backward(const ConvShape& shape, const ConvArrays& in, const float* dy, float* dx,
                        float* dfilter, float* dbias);

struct SsdShape {
  int64_t time, heads, size, groups, state;  // size: of a head
};
// One sequence: x, y [time, heads, size], dt [time, heads], a [heads], b, c [time, groups, state],
// first, last [heads, size, state] (first may be null: zero). `kept` receives what the backward
// pass needs (ssd_kept floats) or is null; scratch holds ssd_scratch floats.
int64_t ssd_kept(const SsdShape& shape);
int64_t ssd_scratch(const SsdShape& shape);
struct SsdArrays {
  const float *x, *dt, *a, *b, *c, *first;
};
void ssd_forward(const SsdShape& shape, const SsdArrays& in, float* y, float* last, float* kept,
                 float* scratch);
struct SsdGradients {
  float *x, *dt, *a, *b, *c, *first;  // a is added to; first may be null
};
// dlast may be null: zero.
void ssd_backward(const SsdShape& shape, const SsdArrays& in, const float* kept, const float* dy,
                  const float* dlast, const SsdGradients& out, float* scratch);

// h_t = f_t h_{t-1} + (1 - f_t) c_t on `channels` in step; first may be null: zero.
void gated_scan_forward(int64_t time, int64_t channels, const float* f, const float* c,
                        const float* first, float* h);
void gated_scan_backward(int64_t time, int64_t channels, const float* f, const float* c,
                         const float* first, const float* h, const float* dh, float* df, float* dc,
                         float* carry);

struct ShapedSumShape {
  int64_t time, heads, size;  // size: units of a head
};
// y_t = gains[0] v_t + gains[1] mixed_t - gains[2] mean_{s <= t} v_s by head: v, mixed, y [time,
// heads, size], gains [3, heads]; row [heads, size] is scratch.
void shaped_sum_forward(const ShapedSumShape& shape, const float* v, const float* mixed,
                        const float* gains, float* y, float* row);
// dgains is added to.
void shaped_sum_backward(const ShapedSumShape& shape, const float* v, const float* mixed,
                         const float* gains, const float* dy, float* dv, float* dmixed,
                         float* dgains, float* row);

struct AdamStep {
  float lr, decay, beta1, beta2, epsilon;  // complete for this tensor: lr holds s(t) and C
  float correction1, correction2;          // 1 - beta^t
  float gradient_scale;                    // from the clip
};
// w -= lr * m_hat / (sqrt(v_hat) + epsilon) + decay * w.
void adamw(int64_t size, const AdamStep& step, const float* gradient, float* weight, float* m,
           float* v);
// The same on moments in fewer bits. gradient, weight and moments begin at a member's; the numbers
// from `begin` on, a multiple of moment_block, are one tensor's. key: of its draws; null: to the
// nearest.
void adamw_small(int64_t begin, int64_t size, const AdamStep& step, const float* gradient,
                 float* weight, const SmallMoments& moments, const uint64_t* key);

// `size` numbers in rows of `width`, of which every `block` share a scale: `fixed`, or what their
// largest magnitude asks for where it is 0.
struct ScaleShape {
  int64_t size, width, block;
  float fixed;
};
// y = round(x scale) / scale.
void quantise(const ScaleShape& shape, const Rounding& rounding, const float* x, float* y);

// total += sum over lanes 1.. of gradients laid `stride` apart, into lane 0; returns the sum of
// squares.
double reduce_lanes(int64_t size, int64_t lanes, int64_t stride, float* gradient);

}  // namespace rung::cpu
