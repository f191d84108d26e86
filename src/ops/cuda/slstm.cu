// The sLSTM cell, a block a head of a sequence that walks the steps: thread (slot, unit) keeps its
// row of the recurrent matrix in registers (up to 64 units) or reads it anew each step, and the
// first threads turn the slots of their unit into its new memory.
#include <algorithm>

#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

struct Cell {
  int time, heads, size, batch;
  // Elements between steps of x, and of y.
  __device__ int64_t x_step() const { return static_cast<int64_t>(heads) * 4 * size; }
  __device__ int64_t y_step() const { return static_cast<int64_t>(heads) * size; }
};

__device__ inline float log_sigmoid(float x) {
  return fminf(x, 0.0f) - log1pf(__expf(-fabsf(x)));
}
__device__ inline float sigmoid(float x) {
  return 1.0f / (1.0f + __expf(-x));
}

struct Gates {
  float i, f, z, o;
};

// What a unit's gates are, given its slots and the memory's m before and after.
__device__ inline Gates gates_of(const float (&slot)[4], float before, float after) {
  return {__expf(slot[0] - after), __expf(log_sigmoid(slot[1]) + before - after), tanhf(slot[2]),
          sigmoid(slot[3])};
}

// Sum of `count` products of a column with a vector in shared memory. R > 0: the column lies in
// registers, padded to R with zeros, and the vector is padded as well.
template <int R>
struct Column {
  float kept[R > 0 ? R : 1];
  const float* from;
  int64_t stride;
  int count;

  __device__ Column(const float* base, int64_t step, int size)
      : from(base), stride(step), count(size) {
    if constexpr (R > 0) {
#pragma unroll
      for (int k = 0; k < R; ++k) kept[k] = k < count ? from[k * stride] : 0.0f;
    }
  }

  __device__ float dot(const float* vector) const {
    float sum[4] = {};
    if constexpr (R > 0) {
#pragma unroll
      for (int k = 0; k < R; k += 4) {
        const float4 v = *reinterpret_cast<const float4*>(vector + k);
        sum[0] = fmaf(kept[k], v.x, sum[0]);
        sum[1] = fmaf(kept[k + 1], v.y, sum[1]);
        sum[2] = fmaf(kept[k + 2], v.z, sum[2]);
        sum[3] = fmaf(kept[k + 3], v.w, sum[3]);
      }
    } else {
#pragma unroll 8
      for (int k = 0; k < count; ++k) sum[0] = fmaf(from[k * stride], vector[k], sum[0]);
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }
};

__host__ __device__ constexpr int padded(int size) {
  return (size + 63) / 64 * 64;
}

// Blocks: (sequence of all members, head). Shared: y [padded], slots [4 size].
template <class T, int R>
__global__ void forward(Cell s, const T* x, const float* transposed, T* y, float* slots, float* c,
                        float* n, float* m) {
  extern __shared__ __align__(16) float shared[];
  float *const last = shared, *const slot = shared + padded(s.size);
  const int64_t sequence = blockIdx.x / s.heads, head = blockIdx.x % s.heads;
  const int64_t member = sequence / s.batch;
  const int j = threadIdx.x, active = 4 * s.size;
  const int64_t x_first = (sequence * s.time * s.heads + head) * 4 * s.size + j,
                y_first = (sequence * s.time * s.heads + head) * s.size + j;
  // Row j of the recurrent matrix is column j of its transpose [size, 4 size].
  const Column<R> row(
      transposed + (member * s.heads + head) * 4 * s.size * s.size + (j < active ? j : 0), active,
      s.size);
  if (j < padded(s.size)) last[j] = 0.0f;
  float memory = 0.0f, normaliser = 0.0f, top = -INFINITY;
  float input = j < active ? to_float(x[x_first]) : 0.0f;
  __syncthreads();
  for (int t = 0; t < s.time; ++t) {
    const int64_t at = x_first + t * s.x_step();
    if (j < active) {
      const float sum = input + row.dot(last);
      slot[j] = sum;
      slots[at] = sum;
      if (t + 1 < s.time) input = to_float(x[at + s.x_step()]);
    }
    __syncthreads();
    if (j < s.size) {
      const float own[4] = {slot[j], slot[s.size + j], slot[2 * s.size + j], slot[3 * s.size + j]};
      const float before = top;
      top = fmaxf(log_sigmoid(own[1]) + before, own[0]);
      const Gates g = gates_of(own, before, top);
      memory = g.f * memory + g.i * g.z;
      normaliser = g.f * normaliser + g.i;
      const float out = g.o * memory / normaliser;
      last[j] = out;
      const int64_t to = y_first + t * s.y_step();
      y[to] = from_float<T>(out);
      c[to] = memory;
      n[to] = normaliser;
      m[to] = top;
    }
    __syncthreads();
  }
}

// Thread (slot q, unit k) sums the slot's share of what reaches output k from the next step.
// Shared: gradients of the slots [4 padded], the shares [4 size].
template <class T, int R>
__global__ void backward(Cell s, const float* recurrent, const float* slots, const float* c,
                         const float* n, const float* m, const T* dy, T* dx) {
  extern __shared__ __align__(16) float shared[];
  const int wide = padded(s.size);
  float *const dslot = shared, *const share = shared + 4 * wide;
  const int64_t sequence = blockIdx.x / s.heads, head = blockIdx.x % s.heads;
  const int64_t member = sequence / s.batch;
  const int j = threadIdx.x, active = 4 * s.size, q = j / s.size, k = j % s.size;
  const int64_t x_first = (sequence * s.time * s.heads + head) * 4 * s.size,
                y_first = (sequence * s.time * s.heads + head) * s.size + j;
  const Column<R> column(recurrent + (member * s.heads + head) * 4 * s.size * s.size +
                             (j < active ? static_cast<int64_t>(q) * s.size * s.size + k : 0),
                         s.size, s.size);
  for (int i = j; i < 4 * wide; i += blockDim.x) dslot[i] = 0.0f;
  if (j < active) share[j] = 0.0f;
  float dc = 0.0f, dn = 0.0f;
  __syncthreads();
  for (int t = s.time - 1; t >= 0; --t) {
    if (j < s.size) {
      const int64_t at = y_first + t * s.y_step(), from = x_first + t * s.x_step() + j;
      const float own[4] = {slots[from], slots[from + s.size], slots[from + 2 * s.size],
                            slots[from + 3 * s.size]};
      const bool fresh = t == 0;
      const float before = fresh ? -INFINITY : m[at - s.y_step()];
      const Gates g = gates_of(own, before, m[at]);
      const float memory = c[at], inverse = 1.0f / n[at];
      const float d = to_float(dy[at]) + ((share[j] + share[s.size + j]) +
                                          (share[2 * s.size + j] + share[3 * s.size + j]));
      dc += d * g.o * inverse;
      dn -= d * g.o * memory * inverse * inverse;
      const float df = fresh ? 0.0f : dc * c[at - s.y_step()] + dn * n[at - s.y_step()];
      const float to[4] = {(dc * g.z + dn) * g.i, df * g.f * sigmoid(-own[1]),
                           dc * g.i * (1.0f - g.z * g.z),
                           d * memory * inverse * g.o * (1.0f - g.o)};
      dc *= g.f;
      dn *= g.f;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        dslot[i * wide + j] = to[i];
        dx[from + i * s.size] = from_float<T>(to[i]);
      }
    }
    __syncthreads();
    if (j < active) share[j] = column.dot(dslot + q * wide);
    __syncthreads();
  }
}

template <class F>
void with_registers(int64_t size, F&& f) {
  using std::integral_constant;
  if (size <= 16)
    f(integral_constant<int, 16>());
  else if (size <= 32)
    f(integral_constant<int, 32>());
  else if (size <= 64)
    f(integral_constant<int, 64>());
  else
    f(integral_constant<int, 0>());
}

Cell cell_of(const CellShape& s) {
  return {static_cast<int>(s.time), static_cast<int>(s.heads), static_cast<int>(s.size),
          static_cast<int>(s.batch)};
}
unsigned threads_of(const CellShape& s) {
  return static_cast<unsigned>(std::max<int64_t>((4 * s.size + 31) / 32 * 32, padded(s.size)));
}
size_t shared_of(const CellShape& s) {
  return static_cast<size_t>(4 * padded(static_cast<int>(s.size)) + 4 * s.size) * sizeof(float);
}
unsigned blocks_of(const CellShape& s) {
  return static_cast<unsigned>(s.members * s.batch * s.heads);
}

}  // namespace

void slstm_forward(Type type, const CellShape& shape, const void* x, const float* transposed,
                   void* y, float* slots, float* c, float* n, float* m, Stream stream) {
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_registers(shape.size, [&](auto r) {
      forward<T, decltype(r)::value>
          <<<blocks_of(shape), threads_of(shape), shared_of(shape), stream>>>(
              cell_of(shape), static_cast<const T*>(x), transposed, static_cast<T*>(y), slots, c, n,
              m);
    });
  });
  check_launch();
}

void slstm_backward(Type type, const CellShape& shape, const float* recurrent, const float* slots,
                    const float* c, const float* n, const float* m, const void* dy, void* dx,
                    Stream stream) {
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_registers(shape.size, [&](auto r) {
      backward<T, decltype(r)::value>
          <<<blocks_of(shape), threads_of(shape), shared_of(shape), stream>>>(
              cell_of(shape), recurrent, slots, c, n, m, static_cast<const T*>(dy),
              static_cast<T*>(dx));
    });
  });
  check_launch();
}

}  // namespace rung::cuda
