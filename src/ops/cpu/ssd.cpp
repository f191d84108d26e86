// The recurrence of state space duality, one sequence at a time, with the state in cache: linear in
// time, where the plain twin in chunks is not. States lie as [size, state padded to 16], so that
// products with b and c run along the state. The backward pass keeps the state before every block
// of steps and computes the states within a block anew.
#include <algorithm>
#include <cmath>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace rung::cpu {

using namespace simd;

namespace {

constexpr int64_t block = 16;  // steps between kept states

constexpr int64_t padded(int64_t n) {
  return (n + lanes - 1) / lanes * lanes;
}
constexpr int64_t blocks_of(int64_t time) {
  return (time + block - 1) / block;
}
int64_t state_size(const SsdShape& s) {
  return s.size * padded(s.state);
}

// Rows of `count` numbers into rows of padded(count), and back.
void pad_rows(const float* from, int64_t rows, int64_t stride, int64_t count, float* to) {
  const int64_t wide = padded(count);
  for (int64_t r = 0; r < rows; ++r) {
    std::copy_n(from + r * stride, count, to + r * wide);
    std::fill(to + r * wide + count, to + (r + 1) * wide, 0.0f);
  }
}
void unpad_rows(const float* from, int64_t rows, int64_t stride, int64_t count, float* to) {
  const int64_t wide = padded(count);
  for (int64_t r = 0; r < rows; ++r) std::copy_n(from + r * wide, count, to + r * stride);
}

// The buffers of one group and one head, cut from scratch.
struct Buffers {
  float *b, *c, *db, *dc;          // [time, padded state]
  float *states, *state_gradient;  // [block + 1] states, one state
};
Buffers partition(const SsdShape& s, float* scratch) {
  const int64_t row = s.time * padded(s.state), state = state_size(s);
  float* states = scratch + 4 * row;
  return {scratch,           scratch + row, scratch + 2 * row,
          scratch + 3 * row, states,        states + (block + 1) * state};
}

// One step of R rows of a head: h' = decay h + u b^T; adds to y where it is not null.
template <int64_t R>
RUNG_INLINE void step_rows(int64_t wide, float decay, const float* u, const float* b,
                           const float* c, const float* before, float* after, float* y) {
  F16 total[R] = {};
  for (int64_t n = 0; n < wide; n += lanes) {
    const F16 bn = load(b + n), cn = load(c + n);
    for (int64_t r = 0; r < R; ++r) {
      const F16 h = load(before + r * wide + n) * decay + bn * u[r];
      store(after + r * wide + n, h);
      total[r] += h * cn;
    }
  }
  if (y)
    for (int64_t r = 0; r < R; ++r) y[r] = sum(total[r]);
}

// All rows of a step; x is scaled by dt.
RUNG_INLINE void step(const SsdShape& s, float decay, float dt, const float* x, const float* b,
                      const float* c, const float* before, float* after, float* y) {
  const int64_t wide = padded(s.state);
  float u[4];
  int64_t i = 0;
  for (; i + 4 <= s.size; i += 4) {
    for (int64_t r = 0; r < 4; ++r) u[r] = dt * x[i + r];
    step_rows<4>(wide, decay, u, b, c, before + i * wide, after + i * wide, y ? y + i : nullptr);
  }
  for (; i < s.size; ++i) {
    u[0] = dt * x[i];
    step_rows<1>(wide, decay, u, b, c, before + i * wide, after + i * wide, y ? y + i : nullptr);
  }
}

// Where a backward step of some rows reads and adds.
struct BackStep {
  float decay, dt;
  const float *b, *c;           // of the step
  float *db, *dc;               // added to
  const float *before, *after;  // states
  float* gradient;              // of the state after, then of the state before
  const float *x, *dy;
  float* dx;
  float ddt = 0.0f;  // through u = dt x
};

// Adds to `decays` the gradient of the decay, by lanes.
template <int64_t R>
RUNG_INLINE void back_rows(int64_t wide, int64_t i, BackStep& s, F16& decays) {
  F16 total[R] = {};
  float u[R], dy[R];
  for (int64_t r = 0; r < R; ++r) u[r] = s.dt * s.x[i + r], dy[r] = s.dy[i + r];
  for (int64_t n = 0; n < wide; n += lanes) {
    const F16 bn = load(s.b + n), cn = load(s.c + n);
    F16 db = load(s.db + n), dc = load(s.dc + n);
    for (int64_t r = 0; r < R; ++r) {
      const int64_t at = (i + r) * wide + n;
      const F16 g = load(s.gradient + at) + cn * dy[r];
      dc += load(s.after + at) * dy[r];
      db += g * u[r];
      total[r] += g * bn;
      decays += g * load(s.before + at);
      store(s.gradient + at, g * s.decay);
    }
    store(s.db + n, db);
    store(s.dc + n, dc);
  }
  for (int64_t r = 0; r < R; ++r) {
    const float du = sum(total[r]);
    s.dx[i + r] = du * s.dt;
    s.ddt += du * s.x[i + r];
  }
}

// Returns the gradient of the decay.
RUNG_INLINE float back_step(const SsdShape& shape, BackStep& s) {
  const int64_t wide = padded(shape.state);
  F16 decays = {};
  int64_t i = 0;
  for (; i + 4 <= shape.size; i += 4) back_rows<4>(wide, i, s, decays);
  for (; i < shape.size; ++i) back_rows<1>(wide, i, s, decays);
  return sum(decays);
}

RUNG_INLINE void forward_head(const SsdShape& s, const SsdArrays& in, int64_t head,
                              const Buffers& own, float* y, float* kept) {
  const int64_t wide = padded(s.state), size = state_size(s);
  float* h = own.states;
  for (int64_t t = 0; t < s.time; ++t) {
    if (kept && t % block == 0)
      std::copy_n(h, size, kept + (head * blocks_of(s.time) + t / block) * size);
    const int64_t at = t * s.heads + head;
    const float dt = in.dt[at];
    step(s, std::exp(dt * in.a[head]), dt, in.x + at * s.size, own.b + t * wide, own.c + t * wide,
         h, h, y + at * s.size);
  }
}

RUNG_INLINE void backward_block(const SsdShape& s, const SsdArrays& in, int64_t head, int64_t first,
                                const Buffers& own, const float* dy, const SsdGradients& out) {
  const int64_t wide = padded(s.state), size = state_size(s);
  const int64_t count = std::min(block, s.time - first);
  for (int64_t k = 0; k < count; ++k) {
    const int64_t t = first + k, at = t * s.heads + head;
    step(s, std::exp(in.dt[at] * in.a[head]), in.dt[at], in.x + at * s.size, own.b + t * wide,
         own.c + t * wide, own.states + k * size, own.states + (k + 1) * size, nullptr);
  }
  for (int64_t k = count - 1; k >= 0; --k) {
    const int64_t t = first + k, at = t * s.heads + head;
    const float dt = in.dt[at], decay = std::exp(dt * in.a[head]);
    BackStep back{decay,
                  dt,
                  own.b + t * wide,
                  own.c + t * wide,
                  own.db + t * wide,
                  own.dc + t * wide,
                  own.states + k * size,
                  own.states + (k + 1) * size,
                  own.state_gradient,
                  in.x + at * s.size,
                  dy + at * s.size,
                  out.x + at * s.size};
    const float exponent = back_step(s, back) * decay;
    out.dt[at] = back.ddt + exponent * in.a[head];
    out.a[head] += exponent * dt;
  }
}

}  // namespace

int64_t ssd_kept(const SsdShape& s) {
  return s.heads * blocks_of(s.time) * state_size(s);
}

int64_t ssd_scratch(const SsdShape& s) {
  return 4 * s.time * padded(s.state) + (block + 2) * state_size(s);
}

RUNG_MULTIVERSION
void ssd_forward(const SsdShape& s, const SsdArrays& in, float* y, float* last, float* kept,
                 float* scratch) {
  const Buffers own = partition(s, scratch);
  const int64_t repeat = s.heads / s.groups, row = s.groups * s.state, flat = s.size * s.state;
  for (int64_t head = 0; head < s.heads; ++head) {
    if (head % repeat == 0) {
      pad_rows(in.b + head / repeat * s.state, s.time, row, s.state, own.b);
      pad_rows(in.c + head / repeat * s.state, s.time, row, s.state, own.c);
    }
    if (in.first)
      pad_rows(in.first + head * flat, s.size, s.state, s.state, own.states);
    else
      std::fill_n(own.states, state_size(s), 0.0f);
    forward_head(s, in, head, own, y, kept);
    unpad_rows(own.states, s.size, s.state, s.state, last + head * flat);
  }
}

RUNG_MULTIVERSION
void ssd_backward(const SsdShape& s, const SsdArrays& in, const float* kept, const float* dy,
                  const float* dlast, const SsdGradients& out, float* scratch) {
  const Buffers own = partition(s, scratch);
  const int64_t repeat = s.heads / s.groups, row = s.groups * s.state, flat = s.size * s.state;
  const int64_t size = state_size(s), blocks = blocks_of(s.time);
  for (int64_t head = 0; head < s.heads; ++head) {
    const int64_t group = head / repeat * s.state;
    if (head % repeat == 0) {
      pad_rows(in.b + group, s.time, row, s.state, own.b);
      pad_rows(in.c + group, s.time, row, s.state, own.c);
      std::fill_n(own.db, 2 * s.time * padded(s.state), 0.0f);  // dc follows
    }
    if (dlast)
      pad_rows(dlast + head * flat, s.size, s.state, s.state, own.state_gradient);
    else
      std::fill_n(own.state_gradient, size, 0.0f);
    for (int64_t k = blocks - 1; k >= 0; --k) {
      std::copy_n(kept + (head * blocks + k) * size, size, own.states);
      backward_block(s, in, head, k * block, own, dy, out);
    }
    if (out.first)
      unpad_rows(own.state_gradient, s.size, s.state, s.state, out.first + head * flat);
    if (head % repeat == repeat - 1) {
      unpad_rows(own.db, s.time, row, s.state, out.b + group);
      unpad_rows(own.dc, s.time, row, s.state, out.c + group);
    }
  }
}

}  // namespace rung::cpu
