#include "ops/cuda/common.cuh"
#include "ops/cuda/gated_scan.h"

namespace rung::cuda {
namespace {

constexpr int threads = 64;  // few, so that short batches still spread over the device
constexpr int ahead = 8;     // steps whose numbers are fetched before the first is needed

template <class T>
__global__ void __launch_bounds__(threads)
    scan(ScanShape s, const float* f, const T* c, const float* first, T* h) {
  const int64_t channel = static_cast<int64_t>(blockIdx.y) * threads + threadIdx.x;
  if (channel >= s.channels) return;
  const int64_t sequence = blockIdx.x, start = sequence * s.time * s.channels + channel;
  float state = first ? first[sequence * s.channels + channel] : 0.0f;
  for (int64_t t = 0; t < s.time; t += ahead) {
    float gate[ahead], input[ahead];
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const bool there = t + i < s.time;
      const int64_t at = start + (t + i) * s.channels;
      gate[i] = there ? f[at] : 1.0f;
      input[i] = there ? to_float(c[at]) : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      if (t + i >= s.time) break;
      state = gate[i] * state + (1.0f - gate[i]) * input[i];
      h[start + (t + i) * s.channels] = from_float<T>(state);
    }
  }
}

// With g_t the whole gradient of h_t: df_t = g_t (h_{t-1} - c_t), dc_t = g_t (1 - f_t), and
// f_t g_t goes on to h_{t-1}.
template <class T>
__global__ void __launch_bounds__(threads)
    scan_gradient(ScanShape s, const float* f, const T* c, const float* first, const T* h,
                  const T* dh, float* df, T* dc) {
  const int64_t channel = static_cast<int64_t>(blockIdx.y) * threads + threadIdx.x;
  if (channel >= s.channels) return;
  const int64_t sequence = blockIdx.x, start = sequence * s.time * s.channels + channel;
  const float begin = first ? first[sequence * s.channels + channel] : 0.0f;
  float carry = 0.0f;
  for (int64_t end = s.time; end > 0; end -= ahead) {
    float gate[ahead], input[ahead], before[ahead], upstream[ahead];
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const int64_t t = end - 1 - i, at = start + t * s.channels;
      gate[i] = t >= 0 ? f[at] : 0.0f;
      input[i] = t >= 0 ? to_float(c[at]) : 0.0f;
      before[i] = t > 0 ? to_float(h[at - s.channels]) : begin;
      upstream[i] = t >= 0 ? to_float(dh[at]) : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const int64_t t = end - 1 - i, at = start + t * s.channels;
      if (t < 0) break;
      const float g = upstream[i] + carry;
      df[at] = g * (before[i] - input[i]);
      dc[at] = from_float<T>(g * (1.0f - gate[i]));
      carry = g * gate[i];
    }
  }
}

dim3 grid_of(const ScanShape& s) {
  return dim3(static_cast<unsigned>(s.sequences), blocks_for(s.channels, threads));
}

}  // namespace

void gated_scan_forward(Type type, const ScanShape& shape, const float* f, const void* c,
                        const float* first, void* h, Stream stream) {
  with_type(type, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    scan<T><<<grid_of(shape), threads, 0, stream>>>(shape, f, static_cast<const T*>(c), first,
                                                    static_cast<T*>(h));
  });
  check_launch();
}

void gated_scan_backward(Type type, const ScanShape& shape, const float* f, const void* c,
                         const float* first, const void* h, const void* dh, float* df, void* dc,
                         Stream stream) {
  with_type(type, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    scan_gradient<T><<<grid_of(shape), threads, 0, stream>>>(
        shape, f, static_cast<const T*>(c), first, static_cast<const T*>(h),
        static_cast<const T*>(dh), df, static_cast<T*>(dc));
  });
  check_launch();
}

}  // namespace rung::cuda
