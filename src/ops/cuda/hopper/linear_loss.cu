// The pass over rows: loss, lse and the input's gradient. The softmax is online, with a reference
// in place of the largest logit so far: it moves only when a tile's exponentials grow out of
// bounds.
#include <algorithm>

#include "ops/cuda/device.h"
#include "ops/cuda/hopper/linear_loss.cuh"

namespace rung::cuda {
namespace {

// A lane's two rows: the reference that exponents are taken from, and its part of their sum.
struct Online {
  float reference[2] = {-INFINITY, -INFINITY};
  float total[2] = {};
};
constexpr float most = 0x1p40f;  // a tile's exponentials may add up to this

// s becomes exp2(z - reference) d z / d product; part: sums of the exponentials.
template <int n, bool capped>
__device__ void exponentials(float (&s)[n][4], const LossParts& in, const Online& online,
                             float (&part)[2]) {
  part[0] = part[1] = 0.0f;
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float from = online.reference[j / 2];
      const float e = exp2_fast(capped ? s[i][j] - from : fmaf(s[i][j], in.scale, -from));
      part[j / 2] += e;
      s[i][j] = capped ? e * cap_slope(s[i][j], in.cap) : e;
    }
}

// Moves the references to the rows' largest logits; returns the factors that bring sums along.
template <int n, bool capped>
__device__ void move_reference(const float (&s)[n][4], const LossParts& in, Online& online,
                               float (&factor)[2]) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float largest = online.reference[r];
#pragma unroll
    for (int i = 0; i < n; ++i)
#pragma unroll
      for (int j = 2 * r; j < 2 * r + 2; ++j)
        largest = fmaxf(largest, capped ? s[i][j] : s[i][j] * in.scale);
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    factor[r] = exp2_fast(online.reference[r] - largest);
    online.reference[r] = largest;
    online.total[r] *= factor[r];
  }
}

// Logits in base 2 where there is a cap; columns beyond `columns` can have no probability.
template <int n, bool capped>
__device__ void finish_logits(float (&s)[n][4], const LossParts& in, int columns) {
  if constexpr (capped)
#pragma unroll
    for (int i = 0; i < n; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) s[i][j] = capped_logit(s[i][j], in.scale, in.cap);
  if (columns >= 8 * n) return;
  const int c = 2 * (threadIdx.x % 4);
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (8 * i + c + j % 2 >= columns) s[i][j] = -INFINITY;
}

// Of a split of several: {reference, total} to `peak` and the sums to `sums`, for join_linear_loss.
template <class C, bool wanted>
__device__ void write_part(const LossParts& in, const Online& online,
                           const float (&sum)[C::width / 8][4], const LossResult& out) {
  const int lane = threadIdx.x % 32, row = blockIdx.x * C::own + threadIdx.x / 32 * 16 + lane / 4;
  const int64_t line = (static_cast<int64_t>(blockIdx.y) * gridDim.z + blockIdx.z) * in.rows;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float total = group_sum<4>(online.total[r]);
    if (row + 8 * r >= in.rows) continue;
    const int64_t at = line + row + 8 * r;
    if (lane % 4 == 0) out.peak[at] = make_float2(online.reference[r], total);
    if constexpr (wanted)
#pragma unroll
      for (int i = 0; i < C::width / 8; ++i)
        if (8 * i < in.width)
          *reinterpret_cast<float2*>(out.sums + at * in.width + 8 * i + 2 * (lane % 4)) =
              make_float2(sum[i][2 * r], sum[i][2 * r + 1]);
  }
}

// Of the only split: loss, lse and dx of a lane's two rows, four lanes each.
template <class C, bool wanted, bool capped>
__device__ void write_rows(const LossParts& in, const Online& online,
                           const float (&sum)[C::width / 8][4], const LossResult& out) {
  const int lane = threadIdx.x % 32, c = 2 * (lane % 4);
  const int first = blockIdx.x * C::own + threadIdx.x / 32 * 16 + lane / 4;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const bool real = first + 8 * r < in.rows;
    const int64_t at = static_cast<int64_t>(blockIdx.z) * in.rows + (real ? first + 8 * r : 0);
    const bf16* const x = in.x + at * in.width + c;
    const bf16* const target = in.weight_of(blockIdx.z) + in.targets[at] * in.width + c;
    float product = 0.0f;
#pragma unroll
    for (int i = 0; i < C::width / 8; ++i)
      if (8 * i < in.width) {
        const float2 a = load2(x + 8 * i), b = load2(target + 8 * i);
        product = fmaf(a.x, b.x, fmaf(a.y, b.y, product));
      }
    product = group_sum<4>(product);
    const float total = group_sum<4>(online.total[r]);
    if (!real) continue;
    const float z = capped ? capped_logit(product, in.scale, in.cap) : product * in.scale;
    const float lse = online.reference[r] + __log2f(total);
    if (lane % 4 == 0) {
      out.loss[at] = (lse - z) / base_2;
      out.lse[at] = lse;
    }
    if constexpr (wanted) {
      const float share = out.factor / total;
      const float own = capped ? out.factor * cap_slope(z, in.cap) : out.factor;
#pragma unroll
      for (int i = 0; i < C::width / 8; ++i)
        if (8 * i < in.width) {
          const float2 b = load2(target + 8 * i);
          *reinterpret_cast<uint32_t*>(out.dx + at * in.width + c + 8 * i) =
              pack2(share * sum[i][2 * r] - own * b.x, share * sum[i][2 * r + 1] - own * b.y);
        }
    }
  }
}

// Whether all of a warpgroup say so.
__device__ inline bool all_of_group(bool here, int group) {
  int all;
  asm volatile(
      "{ .reg .pred p, q; setp.ne.s32 p, %1, 0; bar.red.and.pred q, %2, 128, p; selp.s32 %0, 1, 0, "
      "q; }"
      : "=r"(all)
      : "r"(static_cast<int>(here)), "r"(1 + group)
      : "memory");
  return all;
}

// A tile once more, with other references: its exponentials were out of bounds. For all of a
// warpgroup together, for its warps multiply together.
template <class C, bool wanted, bool capped>
__device__ void mend(const LossParts& in, int tile, const Quad (&own)[C::width / 16], uint64_t rows,
                     Online& online, float (&part)[2], float (&sum)[C::width / 8][4],
                     Quad (&p)[C::N / 16]) {
  constexpr int n = C::N / 8;
  float s[n][4], factor[2];
  start_logits<C>(s, own, rows);
  wgmma_wait<0>();
  pin(s);
  finish_logits<n, capped>(s, in, in.vocabulary - tile * C::N);
  move_reference<n, capped>(s, in, online, factor);
  if constexpr (wanted)
#pragma unroll
    for (int i = 0; i < C::width / 8; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) sum[i][j] *= factor[j / 2];
  exponentials<n, capped>(s, in, online, part);
  if constexpr (wanted) pack(p, s);
}

template <class C, bool wanted, bool capped>
__global__ void __launch_bounds__(C::threads, C::blocks)
    rows_pass(LossParts in, LossResult out, const __grid_constant__ CUtensorMap weight) {
  extern __shared__ unsigned char shared[];
  constexpr int n = C::N / 8;
  const Ring<C> ring = loss_ring<C>(shared);
  const int begin = blockIdx.y * in.tiles_each;
  const int count = min(in.tiles_each, (in.vocabulary + C::N - 1) / C::N - begin);
  const auto load = [&](int i) { load_tile<C>(ring, weight, i, begin + i); };
  if (threadIdx.x == 0) {
    ring.start();
    show_barriers();
    for (int i = 0; i < min(C::stages, count); ++i) load(i);
  }
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), group = warp / 4;
  const int lane = threadIdx.x % 32;
  Quad own[C::width / 16];
  hold_rows<C>(own, in.x_of(blockIdx.z), blockIdx.x * C::own + 16 * warp, in.rows, in.width);
  __syncthreads();  // the ring has started
  Online online;
  float sum[C::width / 8][4] = {}, part[2] = {};
  Quad p[n / 2] = {};  // of the tile before
  uint64_t before = describe(ring.slice(0), C::N * panel_row);
  bool bounded = true;  // were its exponentials, for this warp
  const auto mend_tile = [&](int i) {
    mend<C, wanted, capped>(in, begin + i, own, before, online, part, sum, p);
  };
  for (int i = 0; i < count; ++i) {
    ring.wait(i);
    if (!all_of_group(bounded, group)) mend_tile(i - 1);
    online.total[0] += part[0];
    online.total[1] += part[1];
    const uint64_t rows = describe(ring.slice(i), C::N * panel_row);
    float s[n][4];
    start_logits<C>(s, own, rows);
    if constexpr (wanted) start_sum<C>(sum, p, before);
    before = rows;
    wgmma_wait<wanted ? 1 : 0>();
    pin(s);
    finish_logits<n, capped>(s, in, in.vocabulary - (begin + i) * C::N);
    exponentials<n, capped>(s, in, online, part);
    bounded = __all_sync(0xffffffffu, part[0] <= most && part[1] <= most);
    if (!bounded) __syncwarp();  // a branch, or the wait would move before the exponentials
    wgmma_wait<0>();
    if constexpr (wanted) {
      pin(sum);
      pack(p, s);
    }
    if (i > 0) ring.done(i - 1, lane);
    // Other warpgroups may be a tile behind.
    if (threadIdx.x == 0) ring.replace(i - 2, count, load);
    __syncwarp();
  }
  if (!all_of_group(bounded, group)) mend_tile(count - 1);
  online.total[0] += part[0];
  online.total[1] += part[1];
  if constexpr (wanted) {
    start_sum<C>(sum, p, before);
    wgmma_wait<0>();
    pin(sum);
  }
  if (gridDim.y > 1)
    write_part<C, wanted>(in, online, sum, out);
  else
    write_rows<C, wanted, capped>(in, online, sum, out);
}

// Pieces into which `tiles` are cut so that `blocks` of them fill the device, none of them empty
// and each of four tiles at least where that can be.
template <class C>
int splits_of(int64_t blocks, int64_t tiles) {
  const int64_t wanted =
      std::min(processors() * C::blocks / std::max<int64_t>(blocks, 1), tiles / 4);
  const int64_t each = (tiles + std::max<int64_t>(wanted, 1) - 1) / std::max<int64_t>(wanted, 1);
  return static_cast<int>((tiles + each - 1) / each);
}

template <class C, bool wanted, bool capped>
void launch_rows(const LinearLoss& s, LossParts in, const LossResult& out, Stream stream) {
  const int64_t tiles = (s.vocabulary + C::N - 1) / C::N;
  in.tiles_each = static_cast<int>((tiles + s.input_splits - 1) / s.input_splits);
  const dim3 grid(blocks_for(s.rows, C::own), s.input_splits, static_cast<unsigned>(s.members));
  const auto kernel = rows_pass<C, wanted, capped>;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  kernel<<<grid, C::threads, C::bytes, stream>>>(
      in, out, tile_map<C>(in.weight, s.vocabulary, s.width, s.members, s.weight_stride));
}

}  // namespace

void plan_linear_loss(LinearLoss& s, bool beside) {
  with_padded_width(s.width, [&](auto width) {
    using C = TilesOf<decltype(width)::value>;
    s.input_splits =
        splits_of<C>(s.members * blocks_for(s.rows, C::own), blocks_for(s.vocabulary, C::N));
    s.weight_splits =
        splits_of<C>(s.members * blocks_for(s.vocabulary, C::own), blocks_for(s.rows, C::N));
    // What it runs beside at smaller widths has a block on every multiprocessor.
    if (beside && s.width > 64 && s.weight_splits > 1) s.weight_launches = 2;
  });
}

void linear_loss_input(const LinearLoss& s, const void* x, const void* weight,
                       const int64_t* targets, float factor, float* space, float* loss, float* lse,
                       void* dx, Stream stream) {
  const LossParts in = parts_of(s, x, weight, targets);
  const LossResult out{factor,
                       loss,
                       lse,
                       static_cast<bf16*>(dx),
                       reinterpret_cast<float2*>(space),
                       space + 2 * s.input_splits * s.members * s.rows};
  with_padded_width(s.width, [&](auto width) {
    using C = TilesOf<decltype(width)::value>;
    if (dx && s.cap > 0.0f)
      launch_rows<C, true, true>(s, in, out, stream);
    else if (dx)
      launch_rows<C, true, false>(s, in, out, stream);
    else if (s.cap > 0.0f)
      launch_rows<C, false, true>(s, in, out, stream);
    else
      launch_rows<C, false, false>(s, in, out, stream);
  });
  if (s.input_splits > 1) join_linear_loss(s, in, out, stream);
  check_launch();
}

}  // namespace rung::cuda
