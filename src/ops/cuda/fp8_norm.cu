// Norms of the stream on their way into FP8 codes, forward and backward. A block has 32 rows, whose
// codes it keeps in shared memory until it writes them transposed; a warp has a row at a time in
// registers, V vectors of 8 a lane.
#include "ops/cuda/fp8.cuh"
#include "ops/cuda/fp8_casts.h"

namespace rung::cuda {
namespace {

constexpr int norm_threads = 256, norm_rows = 32;

struct CodedRows {
  int64_t rows;  // of a member
  int vectors;   // of 8 in a row
  float width, epsilon, scale;
};

// Words of four codes from one row of the block to the next: odd, so that columns of rows that are
// 16 apart lie in other banks.
__device__ __host__ inline int line_of(int vectors) {
  return 2 * vectors + 1;
}

template <__nv_fp8_interpretation_t kind>
__device__ inline uint2 encode8(const float (&v)[8], float scale) {
  const float low[4] = {v[0], v[1], v[2], v[3]}, high[4] = {v[4], v[5], v[6], v[7]};
  return make_uint2(encode<kind>(low, scale), encode<kind>(high, scale));
}

// A vector's codes into their row, and where they will be turned.
__device__ inline void put_codes(uint2 codes, int64_t row, int within, int at, const CodedRows& s,
                                 uint8_t* to, uint32_t* kept) {
  *reinterpret_cast<uint2*>(to + (row * s.vectors + at) * 8) = codes;
  uint32_t* const line = kept + within * line_of(s.vectors) + 2 * at;
  line[0] = codes.x;
  line[1] = codes.y;
}

// The block's columns into a member's transposed codes: a thread has four columns of 16 rows.
__device__ inline void write_columns(const CodedRows& s, int64_t row0, const uint32_t* kept,
                                     uint8_t* to) {
  const int words = 2 * s.vectors, line = line_of(s.vectors);
  for (int task = threadIdx.x; task < 2 * words; task += norm_threads) {
    const int word = task / 2, half = task % 2;
    if (row0 + 16 * half >= s.rows) continue;
    uint32_t columns[4][4];
#pragma unroll
    for (int quarter = 0; quarter < 4; ++quarter) {
      const uint32_t* from = kept + (16 * half + 4 * quarter) * line + word;
      const uint32_t r0 = from[0], r1 = from[line], r2 = from[2 * line], r3 = from[3 * line];
      const uint32_t a = __byte_perm(r0, r1, 0x5140), b = __byte_perm(r2, r3, 0x5140),
                     c = __byte_perm(r0, r1, 0x7362), d = __byte_perm(r2, r3, 0x7362);
      columns[0][quarter] = __byte_perm(a, b, 0x5410);
      columns[1][quarter] = __byte_perm(a, b, 0x7632);
      columns[2][quarter] = __byte_perm(c, d, 0x5410);
      columns[3][quarter] = __byte_perm(c, d, 0x7632);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
      *reinterpret_cast<uint4*>(to + (4 * word + i) * s.rows + row0 + 16 * half) =
          make_uint4(columns[i][0], columns[i][1], columns[i][2], columns[i][3]);
  }
}

// Codes of norm(h) in E4M3, rounded to bf16 first; no gain, no mean.
template <int V>
__global__ void __launch_bounds__(norm_threads)
    norm_codes(CodedRows s, const bf16* h, float* rstd, uint8_t* codes, uint8_t* transposed) {
  extern __shared__ uint32_t kept_codes[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * norm_rows, member = blockIdx.y * s.rows,
                codes_at = member * s.vectors * 8;
  for (int within = warp; within < norm_rows && row0 + within < s.rows;
       within += norm_threads / 32) {
    const int64_t row = member + row0 + within;
    float value[V][8], squares = 0.0f;
#pragma unroll
    for (int i = 0; i < V; ++i)
      if (lane + i * 32 < s.vectors) load8(h + (row * s.vectors + lane + i * 32) * 8, value[i]);
#pragma unroll
    for (int i = 0; i < V; ++i)
      if (lane + i * 32 < s.vectors)
#pragma unroll
        for (int k = 0; k < 8; ++k) squares += value[i][k] * value[i][k];
    const float scale = rsqrtf(group_sum<32>(squares) / s.width + s.epsilon);
    if (lane == 0 && rstd) rstd[row] = scale;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int at = lane + i * 32;
      if (at >= s.vectors) continue;
#pragma unroll
      for (int k = 0; k < 8; ++k) value[i][k] *= scale;
      round_all<bf16>(value[i]);
      put_codes(encode8<__NV_E4M3>(value[i], s.scale), row, within, at, s, codes, kept_codes);
    }
  }
  if (!transposed) return;
  __syncthreads();
  write_columns(s, row0, kept_codes, transposed + codes_at);
}

// The sum's gradient dx times g.skip, and that of the branch in it, times g.branch, as codes in
// E5M2. Rows stay in registers as they lie in memory, so that two blocks find room.
template <int V>
__global__ void __launch_bounds__(norm_threads)
    norm_gradient_codes(CodedRows s, const bf16* h, const float* rstd, NormGradient g,
                        uint8_t* codes, uint8_t* transposed) {
  extern __shared__ uint32_t kept_codes[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * norm_rows, member = blockIdx.y * s.rows,
                codes_at = member * s.vectors * 8;
  const bf16 *const dy = static_cast<const bf16*>(g.dy), *const dh = static_cast<const bf16*>(g.dh);
  for (int within = warp; within < norm_rows && row0 + within < s.rows;
       within += norm_threads / 32) {
    const int64_t row = member + row0 + within;
    const float scale = rstd[row];
    float product = 0.0f;
    Raw<bf16> sum[V], up[V], rest[V];
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int at = lane + i * 32;
      if (at >= s.vectors) continue;
      const int64_t place = (row * s.vectors + at) * 8;
      sum[i] = load_raw(h + place);
      up[i] = load_raw(dy + place);
      if (dh) rest[i] = load_raw(dh + place);
    }
#pragma unroll
    for (int i = 0; i < V; ++i) {
      if (lane + i * 32 >= s.vectors) continue;
      float a[8], b[8];
      unpack(sum[i], a);
      unpack(up[i], b);
#pragma unroll
      for (int k = 0; k < 8; ++k) product += b[k] * (a[k] * scale);
    }
    product = group_sum<32>(product) / s.width;
    const float factor = g.input_gradient * scale;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int at = lane + i * 32;
      if (at >= s.vectors) continue;
      float a[8], b[8], total[8] = {};
      unpack(sum[i], a);
      unpack(up[i], b);
      if (dh) unpack(rest[i], total);
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        total[k] = g.dh_factor * total[k] + factor * (b[k] - a[k] * scale * product);
        a[k] = total[k] * g.skip;
        b[k] = total[k] * g.branch;
      }
      round_all<bf16>(b);
      store8(static_cast<bf16*>(g.dx) + (row * s.vectors + at) * 8, a);
      put_codes(encode8<__NV_E5M2>(b, s.scale), row, within, at, s, codes, kept_codes);
    }
  }
  __syncthreads();
  write_columns(s, row0, kept_codes, transposed + codes_at);
}

template <class F>
void with_vectors(int64_t vectors, F&& f) {
  using std::integral_constant;
  if (vectors <= 64) return f(integral_constant<int, 2>());
  if (vectors <= 128) return f(integral_constant<int, 4>());
  if (vectors <= 256) return f(integral_constant<int, 8>());
  return f(integral_constant<int, 16>());
}

CodedRows rows_of(const NormShape& s, float scale) {
  return {s.rows, static_cast<int>(s.width / 8), static_cast<float>(s.width), s.epsilon, scale};
}

int shared_bytes(const NormShape& s) {
  return norm_rows * line_of(static_cast<int>(s.width / 8)) * 4;
}

// Launches with room for the block's codes.
template <class Kernel, class... A>
void launch(Kernel kernel, const NormShape& s, Stream stream, A... arguments) {
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes(s));
  const dim3 grid(blocks_for(s.rows, norm_rows), static_cast<unsigned>(s.members));
  kernel<<<grid, norm_threads, static_cast<size_t>(shared_bytes(s)), stream>>>(arguments...);
}

}  // namespace

void cast_fp8_norm(const NormShape& s, float scale, const void* h, float* rstd, void* codes,
                   void* transposed, Stream stream) {
  with_vectors(s.width / 8, [&](auto v) {
    launch(norm_codes<decltype(v)::value>, s, stream, rows_of(s, scale),
           static_cast<const bf16*>(h), rstd, static_cast<uint8_t*>(codes),
           static_cast<uint8_t*>(transposed));
  });
  check_launch();
}

void cast_fp8_norm_gradient(const NormShape& s, float scale, const void* h, const float* rstd,
                            const NormGradient& gradient, void* codes, void* transposed,
                            Stream stream) {
  with_vectors(s.width / 8, [&](auto v) {
    launch(norm_gradient_codes<decltype(v)::value>, s, stream, rows_of(s, scale),
           static_cast<const bf16*>(h), rstd, gradient, static_cast<uint8_t*>(codes),
           static_cast<uint8_t*>(transposed));
  });
  check_launch();
}

}  // namespace rung::cuda
