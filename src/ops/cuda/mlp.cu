// The ffn's forward pass: a warp takes tiles of rows through both matrices, 16 hidden units at a
// time.
#include "ops/cuda/mlp.h"
#include "ops/cuda/narrow.cuh"

namespace rung::cuda {
namespace {

// As the kernel wants them; matrices and rows of the first member.
struct Forward {
  const bf16 *x, *first, *second, *map;
  StreamInput stream;
  bf16 *h, *out;
  int64_t first_stride, second_stride, map_stride;
  float map_factor;
  int rows, inner, chunks;  // chunks of 16 hidden units, the last padded
  float first_factor, slope, activation, second_factor;
  float out_skip;
};

// A warp's 16 rows become their products with the map.
template <int D>
__device__ void apply_map(bf16* rows, const Tile<line<D>>& map, float factor) {
  const int lane = map.lane;
  const Tile<line<D>> from{rows, lane};
  Quad a[D / 16];
#pragma unroll
  for (int k = 0; k < D / 16; ++k) from.as_a(a[k], 0, k);
  __syncwarp();  // they have been read
#pragma unroll
  for (int n = 0; n < D / 16; ++n) {
    float sum[2][4] = {};
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
      Quad b;
      map.as_b_of_rows(b, n, k);
      multiply_add(sum, a[k], b);
    }
#pragma unroll
    for (int j = 0; j < 2; ++j)
#pragma unroll
      for (int r = 0; r < 2; ++r)
        *reinterpret_cast<uint32_t*>(rows + (lane / 4 + 8 * r) * line<D> + 16 * n + 8 * j +
                                     lane % 4 * 2) =
            pack2(factor * sum[j][2 * r], factor * sum[j][2 * r + 1]);
  }
  __syncwarp();
}

// sum += the outputs of 16 hidden units, for 16 rows.
template <int D, Curve curve>
__device__ void add_units(float (&sum)[D / 8][4], const Quad (&a)[D / 16], const Forward& s,
                          const Tile<line<D>>& first, const Tile<0>& second, int chunk) {
  float gate[2][4] = {}, up[2][4] = {};
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    Quad b;
    first.as_b_of_rows(b, chunk, k);
    multiply_add(gate, a[k], b);
    if constexpr (gated<curve>) {
      first.as_b_of_rows(b, s.chunks + chunk, k);
      multiply_add(up, a[k], b);
    }
  }
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      float derivative;
      float& x = gate[n][e];
      x = s.activation * apply<curve>(s.first_factor * x, s.slope, derivative);
      if constexpr (gated<curve>) x *= s.first_factor * up[n][e];
    }
  Quad hidden;
  as_a(hidden, gate[0], gate[1]);
#pragma unroll
  for (int n = 0; n < D / 16; ++n) {
    Quad b;
    second.as_b_of_rows(b, n, chunk);
    multiply_add(sum + 2 * n, hidden, b);
  }
}

// The outputs, in place of f; with a block, h is added.
template <int D, bool block>
__device__ void round_out(const float (&sum)[D / 8][4], const Forward& s, const bf16* h, bf16* out,
                          int lane) {
#pragma unroll
  for (int n = 0; n < D / 8; ++n)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int at = (lane / 4 + 8 * r) * line<D> + 8 * n + lane % 4 * 2;
      float2 y = make_float2(s.second_factor * sum[n][2 * r], s.second_factor * sum[n][2 * r + 1]);
      if constexpr (block) {
        const float2 other = unpack2(*reinterpret_cast<const uint32_t*>(h + at));
        y.x += s.out_skip * other.x;
        y.y += s.out_skip * other.y;
      }
      *reinterpret_cast<uint32_t*>(out + at) = pack2(y.x, y.y);
    }
}

// Sums of the `split` warps of a team, in order, into the first.
template <int D, int split>
__device__ void add_team(float (&sum)[D / 8][4], float* shared, int part, int lane) {
  constexpr int size = D / 8;
  float4* const to = reinterpret_cast<float4*>(shared) + lane;
  if (part > 0)
#pragma unroll
    for (int i = 0; i < size; ++i) {
      const float(&v)[4] = sum[i];
      to[((part - 1) * size + i) * 32] = make_float4(v[0], v[1], v[2], v[3]);
    }
  __syncthreads();
  if (part > 0) return;
  for (int other = 0; other < split - 1; ++other)
#pragma unroll
    for (int i = 0; i < size; ++i) {
      const float4 v = to[(other * size + i) * 32];
      float(&into)[4] = sum[i];
      into[0] += v.x, into[1] += v.y, into[2] += v.z, into[3] += v.w;
    }
}

// Teams of `split` warps share the hidden units of their rows.
template <int D, int warps, int split>
struct Plan {
  static constexpr int rows = 16, teams = warps / split, stage = rows * line<D>;
  static constexpr int team_sums = (split - 1) * rows * D;
};

template <int D, Curve curve, int warps, int split, bool block>
__global__ void __launch_bounds__(32 * warps) forward(Forward s) {
  using P = Plan<D, warps, split>;
  constexpr int parts = gated<curve> ? 2 : 1;
  extern __shared__ __align__(16) bf16 shared[];
  const int padded = 16 * s.chunks, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  bf16 *const first = shared, *const second = first + parts * padded * line<D>;
  bf16* const map = second + D * (padded + 8);  // of no size where there is none
  bf16 *const stages = map + (block && s.map ? D * line<D> : 0), *const x =
                                                                     stages + warp * 2 * P::stage;
  bf16* const out = x + P::stage;
  load_first<D>(first, s.first + blockIdx.y * s.first_stride, parts, s.inner, padded);
  load_second<D>(second, s.second + blockIdx.y * s.second_stride, s.inner, padded);
  if (block && s.map)
    load_rows<D>(map, s.map + blockIdx.y * s.map_stride, 0, D, D, threadIdx.x, blockDim.x);
  commit_copies();
  const Tile<line<D>> first_tile{first, lane};
  const Tile<0> second_tile{second, lane, padded + 8};
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.rows * D;
  const int team = warp / split, part = warp % split;
  const int begin = s.chunks * part / split, end = s.chunks * (part + 1) / split;
  for (int base = blockIdx.x * P::teams * P::rows; base < s.rows;
       base += gridDim.x * P::teams * P::rows) {
    const int row = base + team * P::rows;
    load_rows<D>(x, s.x + member, row, s.rows, P::rows, lane, 32);
    if (block && s.stream.f) load_rows<D>(out, s.stream.f + member, row, s.rows, P::rows, lane, 32);
    commit_copies();
    wait_copies<0>();
    if (base == static_cast<int>(blockIdx.x) * P::teams * P::rows)
      __syncthreads();  // the matrices are there
    else
      __syncwarp();
    if (block && s.map) apply_map<D>(out, {map, lane}, s.map_factor);
    Quad a[D / 16];
    read_rows<D, block>(a, s.stream, x, out, lane);
    float sum[D / 8][4] = {};
#pragma unroll 1
    for (int chunk = begin; chunk < end; ++chunk)
      add_units<D, curve>(sum, a, s, first_tile, second_tile, chunk);
    if constexpr (split > 1) {
      float* const sums = reinterpret_cast<float*>(stages + warps * 2 * P::stage);
      add_team<D, split>(sum, sums + team * P::team_sums, part, lane);
    }
    if (part == 0) {
      round_out<D, block>(sum, s, x, out, lane);
      __syncwarp();
      write_rows<D>(out, s.out + member, row, s.rows, P::rows, lane);
      if (block && s.stream.f) write_rows<D>(x, s.h + member, row, s.rows, P::rows, lane);
    }
    if constexpr (split > 1)
      __syncthreads();  // the sums have been read
    else
      __syncwarp();  // the stages have been read
  }
}

template <int D, Curve curve, int warps, int split, bool block>
void launch(const MlpShape& shape, const Forward& s, Stream stream) {
  using P = Plan<D, warps, split>;
  constexpr int parts = gated<curve> ? 2 : 1;
  const int padded = 16 * s.chunks;
  const int map = block && s.map ? D * line<D> : 0;
  const int bytes = (parts * padded * line<D> + D * (padded + 8) + map + warps * 2 * P::stage) * 2 +
                    P::teams * P::team_sums * 4;
  const auto kernel = forward<D, curve, warps, split, block>;
  allow_shared(kernel, bytes);
  const int64_t each = P::teams * P::rows, wanted = (shape.rows + each - 1) / each;
  int64_t most = processors() / shape.members;
  if (most < 1) most = 1;
  const dim3 grid(static_cast<unsigned>(wanted < most ? wanted : most),
                  static_cast<unsigned>(shape.members));
  kernel<<<grid, 32 * warps, bytes, stream>>>(s);
}

template <int D, Curve curve, bool block>
void choose(const MlpShape& shape, const Forward& s, Stream stream) {
  // Few rows: several warps a tile, so that every multiprocessor has some.
  if (shape.members * shape.rows <= 16 * 2 * processors())
    launch<D, curve, 8, 4, block>(shape, s, stream);
  else
    launch<D, curve, 16, 1, block>(shape, s, stream);
}

}  // namespace

void mlp_forward(const MlpShape& shape, const MlpForward& f, Stream stream) {
  Forward s{};
  s.x = static_cast<const bf16*>(f.x);
  s.first = static_cast<const bf16*>(f.first);
  s.second = static_cast<const bf16*>(f.second);
  s.out = static_cast<bf16*>(f.out);
  s.first_stride = shape.first_stride;
  s.second_stride = shape.second_stride;
  s.rows = static_cast<int>(shape.rows);
  s.inner = static_cast<int>(shape.inner);
  s.chunks = static_cast<int>((shape.inner + 15) / 16);
  s.first_factor = f.first_factor;
  s.slope = shape.slope;
  s.activation = f.activation;
  s.second_factor = f.second_factor;
  if (f.block) {
    s.stream = {static_cast<const bf16*>(f.block->f), f.block->skip, f.block->branch,
                f.block->epsilon};
    s.map = static_cast<const bf16*>(f.block->map);
    s.map_stride = f.block->map_stride;
    s.map_factor = f.block->map_factor;
    s.h = static_cast<bf16*>(f.block->h);
    s.out_skip = f.block->out_skip;
  }
  with_width(shape.width, [&](auto width) {
    with_curve(shape.curve, [&](auto curve) {
      constexpr int D = decltype(width)::value;
      constexpr Curve C = decltype(curve)::value;
      if (f.block)
        choose<D, C, true>(shape, s, stream);
      else
        choose<D, C, false>(shape, s, stream);
    });
  });
  check_launch();
}

}  // namespace rung::cuda
