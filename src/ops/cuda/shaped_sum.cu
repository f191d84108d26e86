#include "ops/cuda/common.cuh"
#include "ops/cuda/shaped_sum.h"

namespace rung::cuda {
namespace {

constexpr int threads = 64;  // few, so that short batches still spread over the device
constexpr int ahead = 8;     // steps whose numbers are fetched before the first is needed

template <class T>
__device__ inline float2 load2(const T* from);
template <>
__device__ inline float2 load2<float>(const float* from) {
  return *reinterpret_cast<const float2*>(from);
}
template <>
__device__ inline float2 load2<bf16>(const bf16* from) {
  return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(from));
}
__device__ inline void store2(float* to, float x, float y) {
  *reinterpret_cast<float2*>(to) = make_float2(x, y);
}
__device__ inline void store2(bf16* to, float x, float y) {
  *reinterpret_cast<uint32_t*>(to) = pack2(x, y);
}

// Where a thread stands: two channels of one head in one sequence.
struct Place {
  int64_t start, step;  // of its channels at step 0, and between steps
  int64_t sequence, channel;
  float alpha, beta, gamma;
  bool there;

  __device__ Place(const ShapedSum& s, const float* gains)
      : step(s.heads * s.size),
        sequence(blockIdx.x),
        channel((static_cast<int64_t>(blockIdx.y) * threads + threadIdx.x) * 2) {
    there = channel < step;
    if (!there) return;
    start = sequence * s.time * step + channel;
    const float* own = gains + sequence / s.batch * 3 * s.heads + channel / s.size;
    alpha = own[0], beta = own[s.heads], gamma = own[2 * s.heads];
  }
};

template <class T>
__global__ void __launch_bounds__(threads)
    shape_values(ShapedSum s, const T* v, const T* mixed, const float* gains, T* y) {
  const Place at(s, gains);
  if (!at.there) return;
  float2 sum = make_float2(0.0f, 0.0f);
  for (int64_t t = 0; t < s.time; t += ahead) {
    float2 own[ahead], other[ahead];
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      if (t + i >= s.time) break;
      own[i] = load2(v + at.start + (t + i) * at.step);
      other[i] = load2(mixed + at.start + (t + i) * at.step);
    }
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      if (t + i >= s.time) break;
      const float share = at.gamma / static_cast<float>(t + i + 1);
      sum.x += own[i].x, sum.y += own[i].y;
      store2(y + at.start + (t + i) * at.step,
             at.alpha * own[i].x + at.beta * other[i].x - share * sum.x,
             at.alpha * own[i].y + at.beta * other[i].y - share * sum.y);
    }
  }
}

// With R_s = sum_{t >= s} dy_t / (t + 1), which reaches v_s through the means behind it:
// dv_s = alpha dy_s - gamma R_s, and gamma's gradient is -sum_s v_s R_s.
template <class T>
__global__ void __launch_bounds__(threads)
    shape_gradients(ShapedSum s, const T* v, const T* mixed, const float* gains, const T* dy, T* dv,
                    T* dmixed, float* partial) {
  const Place at(s, gains);
  if (!at.there) return;
  float2 reach = make_float2(0.0f, 0.0f), dalpha = reach, dbeta = reach, dgamma = reach;
  for (int64_t end = s.time; end > 0; end -= ahead) {
    float2 own[ahead], other[ahead], upstream[ahead];
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const int64_t t = end - 1 - i;
      if (t < 0) break;
      own[i] = load2(v + at.start + t * at.step);
      other[i] = load2(mixed + at.start + t * at.step);
      upstream[i] = load2(dy + at.start + t * at.step);
    }
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const int64_t t = end - 1 - i;
      if (t < 0) break;
      const float share = 1.0f / static_cast<float>(t + 1);
      const float2 d = upstream[i];
      reach.x += share * d.x, reach.y += share * d.y;
      dalpha.x += d.x * own[i].x, dalpha.y += d.y * own[i].y;
      dbeta.x += d.x * other[i].x, dbeta.y += d.y * other[i].y;
      dgamma.x -= own[i].x * reach.x, dgamma.y -= own[i].y * reach.y;
      store2(dv + at.start + t * at.step, at.alpha * d.x - at.gamma * reach.x,
             at.alpha * d.y - at.gamma * reach.y);
      store2(dmixed + at.start + t * at.step, at.beta * d.x, at.beta * d.y);
    }
  }
  float* to = partial + at.sequence * 3 * at.step + at.channel;
  store2(to, dalpha.x, dalpha.y);
  store2(to + at.step, dbeta.x, dbeta.y);
  store2(to + 2 * at.step, dgamma.x, dgamma.y);
}

dim3 grid_of(const ShapedSum& s) {
  return dim3(static_cast<unsigned>(s.members * s.batch),
              blocks_for(s.heads * s.size, 2 * threads));
}

}  // namespace

void shaped_sum_forward(Type type, const ShapedSum& shape, const void* v, const void* mixed,
                        const float* gains, void* y, Stream stream) {
  with_type(type, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    shape_values<T><<<grid_of(shape), threads, 0, stream>>>(
        shape, static_cast<const T*>(v), static_cast<const T*>(mixed), gains, static_cast<T*>(y));
  });
  check_launch();
}

void shaped_sum_backward(Type type, const ShapedSum& shape, const void* v, const void* mixed,
                         const float* gains, const void* dy, void* dv, void* dmixed, float* partial,
                         Stream stream) {
  with_type(type, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    shape_gradients<T><<<grid_of(shape), threads, 0, stream>>>(
        shape, static_cast<const T*>(v), static_cast<const T*>(mixed), gains,
        static_cast<const T*>(dy), static_cast<T*>(dv), static_cast<T*>(dmixed), partial);
  });
  check_launch();
}

}  // namespace rung::cuda
