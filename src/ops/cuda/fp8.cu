// Casts to FP8 for products that run in it (fp8_linear.cpp): row by row, and transposed, since the
// units read both factors along the axis that is summed. What is cast is a tensor, or what an
// activation makes of one on the way.
#include "ops/cuda/curve.cuh"
#include "ops/cuda/fp8.cuh"
#include "ops/cuda/fp8_casts.h"

namespace rung::cuda {
namespace {

template <class T, __nv_fp8_interpretation_t kind>
__global__ void __launch_bounds__(fp8_threads)
    cast_tile(Fp8Shape s, const T* x, uint8_t* y, uint8_t* transposed) {
  __shared__ uint32_t turned[fp8_tile][fp8_line];
  const Fp8Place p;
  const int64_t codes_at = static_cast<int64_t>(blockIdx.z) * s.rows * s.columns;
  x += static_cast<int64_t>(blockIdx.z) * s.stride;
  if (p.inside(s)) {
    float v[4][4];
    uint32_t codes[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) load4(x + p.row(k) * s.columns + p.column0 + p.column, v[k]);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (s.factor != 1.0f) {
#pragma unroll
        for (int i = 0; i < 4; ++i) v[k][i] *= s.factor;
        round_all<T>(v[k]);
      }
      codes[k] = encode<kind>(v[k], s.scale);
      if (y)
        *reinterpret_cast<uint32_t*>(y + codes_at + p.row(k) * s.columns + p.column0 + p.column) =
            codes[k];
    }
    turn_codes(codes, turned, p.column, p.group);
  }
  if (!transposed) return;
  __syncthreads();
  write_turned(s, p, turned, 0, transposed + codes_at);
}

__global__ void __launch_bounds__(fp8_threads)
    turn_tile(Fp8Shape s, const uint8_t* x, uint8_t* transposed) {
  __shared__ uint32_t turned[fp8_tile][fp8_line];
  const Fp8Place p;
  x += static_cast<int64_t>(blockIdx.z) * s.stride;
  if (p.inside(s)) {
    uint32_t codes[4];
#pragma unroll
    for (int k = 0; k < 4; ++k)
      codes[k] =
          *reinterpret_cast<const uint32_t*>(x + p.row(k) * s.columns + p.column0 + p.column);
    turn_codes(codes, turned, p.column, p.group);
  }
  __syncthreads();
  write_turned(s, p, turned, 0, transposed + static_cast<int64_t>(blockIdx.z) * s.rows * s.columns);
}

// The activation's output in E4M3, rounded to T first as where it is stored between two ops.
template <class T, Curve curve>
__global__ void __launch_bounds__(fp8_threads)
    cast_activated(Fp8Shape s, const T* h, float slope, float factor, uint8_t* y,
                   uint8_t* transposed) {
  __shared__ uint32_t turned[fp8_tile][fp8_line];
  const Fp8Place p;
  constexpr int parts = gated<curve> ? 2 : 1;
  const int64_t codes_at = static_cast<int64_t>(blockIdx.z) * s.rows * s.columns;
  h += codes_at * parts;
  if (p.inside(s)) {
    float x[4][4], up[4][4];
    uint32_t codes[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const T* from = h + p.row(k) * parts * s.columns + p.column0 + p.column;
      load4(from, x[k]);
      if constexpr (gated<curve>) load4(from + s.columns, up[k]);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float derivative;
        x[k][i] = factor * apply<curve>(x[k][i], slope, derivative);
        if constexpr (gated<curve>) x[k][i] *= up[k][i];
      }
      round_all<T>(x[k]);
      codes[k] = encode<__NV_E4M3>(x[k], s.scale);
      *reinterpret_cast<uint32_t*>(y + codes_at + p.row(k) * s.columns + p.column0 + p.column) =
          codes[k];
    }
    turn_codes(codes, turned, p.column, p.group);
  }
  if (!transposed) return;
  __syncthreads();
  write_turned(s, p, turned, 0, transposed + codes_at);
}

// The gradient of the activation's input in E5M2, from that of its output.
template <class T, Curve curve>
__global__ void __launch_bounds__(fp8_threads)
    cast_activation_gradient(Fp8Shape s, const T* h, const T* dout, float slope, float factor,
                             uint8_t* dh, uint8_t* transposed) {
  constexpr int parts = gated<curve> ? 2 : 1;
  __shared__ uint32_t turned[parts][fp8_tile][fp8_line];
  const Fp8Place p;
  const int64_t outputs_at = static_cast<int64_t>(blockIdx.z) * s.rows * s.columns,
                inputs_at = outputs_at * parts;
  if (p.inside(s)) {
    float x[4][4], up[4][4], dy[4][4];
    uint32_t codes[parts][4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const T* from = h + inputs_at + p.row(k) * parts * s.columns + p.column0 + p.column;
      load4(from, x[k]);
      if constexpr (gated<curve>) load4(from + s.columns, up[k]);
      load4(dout + outputs_at + p.row(k) * s.columns + p.column0 + p.column, dy[k]);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float derivative;
        const float value = apply<curve>(x[k][i], slope, derivative), d = factor * dy[k][i];
        if constexpr (gated<curve>) {
          x[k][i] = d * up[k][i] * derivative;
          up[k][i] = d * value;
        } else {
          x[k][i] = d * derivative;
        }
      }
      round_all<T>(x[k]);
      if constexpr (gated<curve>) round_all<T>(up[k]);
      uint8_t* to = dh + inputs_at + p.row(k) * parts * s.columns + p.column0 + p.column;
      codes[0][k] = encode<__NV_E5M2>(x[k], s.scale);
      *reinterpret_cast<uint32_t*>(to) = codes[0][k];
      if constexpr (gated<curve>) {
        codes[1][k] = encode<__NV_E5M2>(up[k], s.scale);
        *reinterpret_cast<uint32_t*>(to + s.columns) = codes[1][k];
      }
    }
#pragma unroll
    for (int part = 0; part < parts; ++part)
      turn_codes(codes[part], turned[part], p.column, p.group);
  }
  if (!transposed) return;
  __syncthreads();
#pragma unroll
  for (int part = 0; part < parts; ++part)
    write_turned(s, p, turned[part], part * s.columns, transposed + inputs_at);
}

dim3 tiles_of(const Fp8Shape& s) {
  return dim3(blocks_for(s.columns, fp8_tile), blocks_for(s.rows, fp8_tile),
              static_cast<unsigned>(s.members));
}

}  // namespace

void cast_fp8(Type type, const Fp8Shape& s, const void* x, void* y, void* transposed,
              Stream stream) {
  with_type(type, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    const auto kernel = s.e5m2 ? cast_tile<T, __NV_E5M2> : cast_tile<T, __NV_E4M3>;
    kernel<<<tiles_of(s), fp8_threads, 0, stream>>>(
        s, static_cast<const T*>(x), static_cast<uint8_t*>(y), static_cast<uint8_t*>(transposed));
  });
  check_launch();
}

void turn_fp8(const Fp8Shape& s, const void* codes, void* transposed, Stream stream) {
  turn_tile<<<tiles_of(s), fp8_threads, 0, stream>>>(s, static_cast<const uint8_t*>(codes),
                                                     static_cast<uint8_t*>(transposed));
  check_launch();
}

void cast_fp8_activation(Type type, Curve curve, const Fp8Shape& s, const void* h, float slope,
                         float factor, void* y, void* transposed, Stream stream) {
  with_type(type, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    with_curve(curve, [&](auto c) {
      cast_activated<T, decltype(c)::value><<<tiles_of(s), fp8_threads, 0, stream>>>(
          s, static_cast<const T*>(h), slope, factor, static_cast<uint8_t*>(y),
          static_cast<uint8_t*>(transposed));
    });
  });
  check_launch();
}

void cast_fp8_activation_gradient(Type type, Curve curve, const Fp8Shape& s, const void* h,
                                  const void* dout, float slope, float factor, void* dh,
                                  void* transposed, Stream stream) {
  with_type(type, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    with_curve(curve, [&](auto c) {
      cast_activation_gradient<T, decltype(c)::value><<<tiles_of(s), fp8_threads, 0, stream>>>(
          s, static_cast<const T*>(h), static_cast<const T*>(dout), slope, factor,
          static_cast<uint8_t*>(dh), static_cast<uint8_t*>(transposed));
    });
  });
  check_launch();
}

}  // namespace rung::cuda
