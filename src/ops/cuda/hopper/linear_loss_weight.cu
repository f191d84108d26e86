// The pass over the vocabulary: the weight's gradient, from the rows' lse.
#include <algorithm>

#include "ops/cuda/hopper/linear_loss.cuh"

namespace rung::cuda {
namespace {

// Beside a tile of rows each warpgroup keeps their targets (int64) and lse.
template <class C>
__device__ void load_side(uint32_t to, const LossParts& in, const float* lse, int first) {
  const int64_t member = blockIdx.z;
  static_assert(C::N <= 128);
  const int i = threadIdx.x % 128;
  if (i >= C::N) return;
  const bool real = first + i < in.rows;
  const int64_t row = member * in.rows + (real ? first + i : 0);
  copy_async<8>(to + 8 * i, in.targets + row, real);
  copy_async<4>(to + 8 * C::N + 4 * i, lse + row, real);
}

// A warp's 16 rows of the vocabulary, from `first` on, against a tile of rows of x: s becomes p -
// [target]. Rows of x beyond the end are zero, and any p does.
template <class C>
__device__ void differences(float (&s)[C::N / 8][4], const LossParts& in, const int64_t* targets,
                            const float* lse, int first) {
  const int lane = threadIdx.x % 32, c = 2 * (lane % 4);
#pragma unroll
  for (int i = 0; i < C::N / 8; ++i) {
    const float2 of = *reinterpret_cast<const float2*>(lse + 8 * i + c);
#pragma unroll
    for (int j = 0; j < 4; ++j)
      s[i][j] = exp2_fast(fmaf(s[i][j], in.scale, -(j % 2 ? of.y : of.x)));
  }
  // Few rows have a target here: one ballot for 32 of them.
#pragma unroll
  for (int word = 0; word < C::N / 32; ++word) {
    const unsigned mine = static_cast<unsigned>(targets[32 * word + lane]) - first;
    const unsigned hits = __ballot_sync(0xffffffffu, mine < 16);
#pragma unroll
    for (int i = 4 * word; i < 4 * word + 4; ++i) {
      if ((hits >> 8 * (i % 4) & 0xff) == 0) continue;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const bool hit =
            static_cast<int>(targets[8 * i + c + j % 2]) == first + lane / 4 + j / 2 * 8;
        if (hit) s[i][j] -= 1.0f;
      }
    }
  }
}

// The same behind a cap: (p - [target]) dz / dproduct, the slope of a target's own logit included.
template <class C>
__device__ void capped_differences(float (&s)[C::N / 8][4], const LossParts& in,
                                   const int64_t* targets, const float* lse, int first) {
  const int lane = threadIdx.x % 32, c = 2 * (lane % 4);
#pragma unroll
  for (int i = 0; i < C::N / 8; ++i) {
    const float2 of = *reinterpret_cast<const float2*>(lse + 8 * i + c);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float z = capped_logit(s[i][j], in.scale, in.cap);
      const float p = exp2_fast(z - (j % 2 ? of.y : of.x));
      const bool hit = static_cast<int>(targets[8 * i + c + j % 2]) == first + lane / 4 + j / 2 * 8;
      s[i][j] = (hit ? p - 1.0f : p) * cap_slope(z, in.cap);
    }
  }
}

// to [vocabulary, width] of a member: plus (or set to) factor sum.
template <class C>
__device__ void write_weight(const LossParts& in, const float (&sum)[C::width / 8][4], float factor,
                             bool add, float* to) {
  const int lane = threadIdx.x % 32, row = blockIdx.x * C::own + threadIdx.x / 32 * 16 + lane / 4;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    if (row + 8 * r >= in.vocabulary) continue;
    float* const line = to + static_cast<int64_t>(row + 8 * r) * in.width + 2 * (lane % 4);
#pragma unroll
    for (int i = 0; i < C::width / 8; ++i) {
      if (8 * i >= in.width) continue;
      float2& slot = *reinterpret_cast<float2*>(line + 8 * i);
      const float2 old = add ? slot : make_float2(0.0f, 0.0f);
      slot =
          make_float2(fmaf(factor, sum[i][2 * r], old.x), fmaf(factor, sum[i][2 * r + 1], old.y));
    }
  }
}

struct Target {
  float factor;
  bool add;
  float* to;
  int64_t split_stride, member_stride;
  int first_split = 0;  // of a launch
};

template <class C, bool capped>
__global__ void __launch_bounds__(C::threads, C::blocks)
    weight_pass(LossParts in, const float* lse, Target out, const __grid_constant__ CUtensorMap x) {
  extern __shared__ unsigned char shared[];
  constexpr int n = C::N / 8, ahead = C::stages - 2;
  const Ring<C> ring = loss_ring<C>(shared);
  const int split = out.first_split + static_cast<int>(blockIdx.y);
  const int begin = split * in.tiles_each;
  const int count = min(in.tiles_each, (in.rows + C::N - 1) / C::N - begin);
  const auto load = [&](int i) { load_tile<C>(ring, x, i, begin + i); };
  if (threadIdx.x == 0) {
    ring.start();
    show_barriers();
    for (int i = 0; i < min(C::stages, count); ++i) load(i);
  }
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), group = warp / 4;
  const int lane = threadIdx.x % 32, first = blockIdx.x * C::own + 16 * warp;
  unsigned char* const sides = shared + (ring.slices - shared_address(shared)) + C::ring_bytes +
                               group * C::stages * C::side_bytes;
  const auto side = [&](int i) { return sides + i % C::stages * C::side_bytes; };
  const auto load_beside = [&](int i) {
    if (i < count) load_side<C>(shared_address(side(i)), in, lse, (begin + i) * C::N);
    commit_copies();
  };
#pragma unroll
  for (int i = 0; i < ahead; ++i) load_beside(i);
  Quad own[C::width / 16];
  hold_rows<C>(own, in.weight_of(blockIdx.z), first, in.vocabulary, in.width);
  __syncthreads();  // the ring has started
  float sum[C::width / 8][4] = {};
  Quad p[n / 2] = {};  // of the tile before
  uint64_t before = describe(ring.slice(0), C::N * panel_row);
  for (int i = 0; i < count; ++i) {
    ring.wait(i);
    wait_copies<ahead - 1>();
    // The side has come for all, and the one before the last is done with.
    meet_group(1 + group);
    const uint64_t rows = describe(ring.slice(i), C::N * panel_row);
    float s[n][4];
    start_logits<C>(s, own, rows);
    start_sum<C>(sum, p, before);
    before = rows;
    load_beside(i + ahead);
    wgmma_wait<1>();
    pin(s);
    const int64_t* const targets = reinterpret_cast<const int64_t*>(side(i));
    const float* const lse_of_rows = reinterpret_cast<const float*>(side(i) + 8 * C::N);
    if constexpr (capped)
      capped_differences<C>(s, in, targets, lse_of_rows, first);
    else
      differences<C>(s, in, targets, lse_of_rows, first);
    pin(s);
    wgmma_wait<0>();
    pin(sum);
    pack(p, s);
    if (i > 0) ring.done(i - 1, lane);
    // Other warpgroups may be a tile behind.
    if (threadIdx.x == 0) ring.replace(i - 2, count, load);
    __syncwarp();
  }
  start_sum<C>(sum, p, before);
  wgmma_wait<0>();
  pin(sum);
  write_weight<C>(in, sum, out.factor, out.add,
                  out.to + split * out.split_stride + blockIdx.z * out.member_stride);
}

// gradient = factor times the sum over splits of space [splits, members, size] (+ gradient where it
// adds), four a thread.
__global__ void __launch_bounds__(256)
    sum_splits(int splits, int64_t size, const float4* space, float factor, bool adds,
               float* gradient, int64_t stride) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= size) return;
  float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  for (int s = 0; s < splits; ++s) {
    const float4 part = space[(static_cast<int64_t>(s) * gridDim.y + blockIdx.y) * size + i];
    sum.x += part.x, sum.y += part.y, sum.z += part.z, sum.w += part.w;
  }
  float4& to = reinterpret_cast<float4*>(gradient + blockIdx.y * stride)[i];
  float4 old = adds ? to : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  old.x += factor * sum.x, old.y += factor * sum.y, old.z += factor * sum.z;
  old.w += factor * sum.w;
  to = old;
}

template <class C, bool capped>
void launch_weight(const LinearLoss& s, LossParts in, const float* lse, Target out, Stream stream) {
  const int64_t tiles = (s.rows + C::N - 1) / C::N;
  in.tiles_each = static_cast<int>((tiles + s.weight_splits - 1) / s.weight_splits);
  const int each = (s.weight_splits + s.weight_launches - 1) / s.weight_launches;
  const auto kernel = weight_pass<C, capped>;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  const CUtensorMap x = tile_map<C>(in.x, s.rows, s.width, s.members, s.rows * s.width);
  for (; out.first_split < s.weight_splits; out.first_split += each) {
    const dim3 grid(blocks_for(s.vocabulary, C::own),
                    std::min(each, s.weight_splits - out.first_split),
                    static_cast<unsigned>(s.members));
    kernel<<<grid, C::threads, C::bytes, stream>>>(in, lse, out, x);
  }
}

}  // namespace

void linear_loss_weight(const LinearLoss& s, const void* x, const void* weight,
                        const int64_t* targets, const float* lse, float factor, float* space,
                        float* gradient, int64_t gradient_stride, bool adds, Stream stream) {
  const LossParts in = parts_of(s, x, weight, targets);
  const int64_t size = s.vocabulary * s.width;
  const bool split = s.weight_splits > 1;
  const Target out = split ? Target{1.0f, false, space, s.members * size, size}
                           : Target{factor, adds, gradient, 0, gradient_stride};
  with_padded_width(s.width, [&](auto width) {
    using C = TilesOf<decltype(width)::value>;
    if (s.cap > 0.0f)
      launch_weight<C, true>(s, in, lse, out, stream);
    else
      launch_weight<C, false>(s, in, lse, out, stream);
  });
  if (split) {
    const dim3 grid(blocks_for(size / 4, 256), static_cast<unsigned>(s.members));
    sum_splits<<<grid, 256, 0, stream>>>(s.weight_splits, size / 4,
                                         reinterpret_cast<const float4*>(space), factor, adds,
                                         gradient, gradient_stride);
  }
  check_launch();
}

}  // namespace rung::cuda
