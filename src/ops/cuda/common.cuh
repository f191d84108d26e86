// Vector access, reductions and launch checks shared by the kernels.
#pragma once
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "ops/cuda/kernels.h"
#include "ops/cuda/runtime.h"

namespace rung::cuda {

using bf16 = __nv_bfloat16;

// Eight elements as they lie in memory.
template <class T>
struct Raw {
  uint4 word[sizeof(T) / 2];
};

template <class T>
__device__ inline Raw<T> load_raw(const T* from) {
  Raw<T> raw;
#pragma unroll
  for (int i = 0; i < static_cast<int>(sizeof(T) / 2); ++i)
    raw.word[i] = reinterpret_cast<const uint4*>(from)[i];
  return raw;
}

__device__ inline void unpack(const Raw<float>& raw, float (&x)[8]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    x[4 * i] = __uint_as_float(raw.word[i].x);
    x[4 * i + 1] = __uint_as_float(raw.word[i].y);
    x[4 * i + 2] = __uint_as_float(raw.word[i].z);
    x[4 * i + 3] = __uint_as_float(raw.word[i].w);
  }
}

__device__ inline void unpack(const Raw<bf16>& raw, float (&x)[8]) {
  const uint32_t words[4] = {raw.word[0].x, raw.word[0].y, raw.word[0].z, raw.word[0].w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {  // a bf16 is the upper half of a float
    x[2 * i] = __uint_as_float(words[i] << 16);
    x[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}

template <class T>
__device__ inline void load8(const T* from, float (&x)[8]) {
  unpack(load_raw(from), x);
}

__device__ inline void store8(float* to, const float (&x)[8]) {
  reinterpret_cast<float4*>(to)[0] = make_float4(x[0], x[1], x[2], x[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(x[4], x[5], x[6], x[7]);
}

__device__ inline uint32_t pack2(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

__device__ inline void store8(bf16* to, const float (&x)[8]) {
  *reinterpret_cast<uint4*>(to) =
      make_uint4(pack2(x[0], x[1]), pack2(x[2], x[3]), pack2(x[4], x[5]), pack2(x[6], x[7]));
}

// To global memory in pieces of 16 bytes: left to itself the compiler takes a store that depends on
// a condition apart, into words, which cost as much each.
__device__ inline void store16(void* to, const uint4& v) {
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(v.x), "r"(v.y), "r"(v.z),
               "r"(v.w));
}
__device__ inline void store8_whole(bf16* to, const float (&x)[8]) {
  store16(to,
          make_uint4(pack2(x[0], x[1]), pack2(x[2], x[3]), pack2(x[4], x[5]), pack2(x[6], x[7])));
}
__device__ inline void store8_whole(float* to, const float (&x)[8]) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
    store16(to + 4 * i, make_uint4(__float_as_uint(x[4 * i]), __float_as_uint(x[4 * i + 1]),
                                   __float_as_uint(x[4 * i + 2]), __float_as_uint(x[4 * i + 3])));
}

// Four elements.
__device__ inline void load4(const float* from, float (&x)[4]) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
}
__device__ inline void load4(const bf16* from, float (&x)[4]) {
  const uint2 v = *reinterpret_cast<const uint2*>(from);
  x[0] = __uint_as_float(v.x << 16), x[1] = __uint_as_float(v.x & 0xffff0000u);
  x[2] = __uint_as_float(v.y << 16), x[3] = __uint_as_float(v.y & 0xffff0000u);
}
__device__ inline void store4(float* to, const float (&x)[4]) {
  *reinterpret_cast<float4*>(to) = make_float4(x[0], x[1], x[2], x[3]);
}
__device__ inline void store4(bf16* to, const float (&x)[4]) {
  *reinterpret_cast<uint2*>(to) = make_uint2(pack2(x[0], x[1]), pack2(x[2], x[3]));
}

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(bf16 x) {
  return __bfloat162float(x);
}
template <class T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline bf16 from_float<bf16>(float x) {
  return __float2bfloat16_rn(x);
}

// The value as it will read back after being stored as T.
template <class T>
__device__ inline float rounded(float x) {
  return to_float(from_float<T>(x));
}

// The same for n values, an even number: a pair at a time is an instruction of another unit than
// exponentials and reciprocals take.
template <class T, int n>
__device__ inline void round_all(float (&x)[n]) {
  if constexpr (std::is_same_v<T, bf16>) {
#pragma unroll
    for (int i = 0; i < n; i += 2) {
      const uint32_t pair = pack2(x[i], x[i + 1]);
      x[i] = __uint_as_float(pair << 16);
      x[i + 1] = __uint_as_float(pair & 0xffff0000u);
    }
  }
}

// Sum over the aligned group of G lanes that the caller belongs to; every lane gets it.
template <int G, class V>
__device__ inline V group_sum(V value) {
#pragma unroll
  for (int offset = G / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  return value;
}

// Sum over the block, for up to 1,024 threads in whole warps; every thread gets it.
template <class V>
__device__ inline V block_sum(V value) {
  __shared__ V warps[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  value = group_sum<32>(value);
  __syncthreads();
  if (lane == 0) warps[warp] = value;
  __syncthreads();
  value = lane < static_cast<int>(blockDim.x / 32) ? warps[lane] : V(0);
  return group_sum<32>(value);
}

inline void check_launch() {
  check_runtime(cudaGetLastError());
}

inline unsigned blocks_for(int64_t count, int64_t each) {
  return static_cast<unsigned>((count + each - 1) / each);
}

// Calls f with a null pointer of the element type.
template <class F>
void with_type(Type type, F&& f) {
  if (type == Type::bf16)
    f(static_cast<bf16*>(nullptr));
  else
    f(static_cast<float*>(nullptr));
}

}  // namespace rung::cuda
