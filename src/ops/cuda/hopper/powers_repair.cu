// Rows whose sums of powers of two are out of range, which hardly ever occur: sixteen at a time are
// multiplied with the whole matrix twice, for their largest logits and for what hangs on these.
#include "ops/cuda/hopper/powers_rows.cuh"

namespace rung::cuda {
namespace {

constexpr int repair_rows = 64, repair_threads = 256, repair_warps = repair_threads / 32;

struct RepairBlock {
  int listed[repair_rows + 16];  // rows to be made again
  int count;
  float joined[16], hit[16], part[repair_warps][16];
};

// A lane's logits of its rows g and g + 8 and columns 2 c and 2 c + 1 of eight from `column` on.
// Lane c takes eight neighbours of 32 along k, whose order is all the same to a sum.
__device__ inline void logits_of(const PowersJoinRows& s, const bf16* low, const bf16* high,
                                 const bf16* line, float (&z)[4], int lane) {
  float sum[4] = {};
  for (int64_t k = 8 * (lane % 4); k < s.width; k += 32) {
    const uint4 a = *reinterpret_cast<const uint4*>(low + k),
                b = *reinterpret_cast<const uint4*>(high + k),
                w = *reinterpret_cast<const uint4*>(line + k);
    const Quad first{a.x, b.x, a.y, b.y}, second{a.z, b.z, a.w, b.w};
    multiply_add(sum, first, w.x, w.y);
    multiply_add(sum, second, w.z, w.w);
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) z[j] = sum[j] * s.scale;
}

// f of each of sixteen rows over the block, in a fixed order; a lane gives its two rows'.
template <class F>
__device__ inline void over_block(RepairBlock& block, float low, float high, const F& f) {
  const int warp = static_cast<int>(threadIdx.x / 32), lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
  for (int offset = 1; offset < 4; offset *= 2) {
    low = f(low, __shfl_xor_sync(0xffffffffu, low, offset));
    high = f(high, __shfl_xor_sync(0xffffffffu, high, offset));
  }
  if (lane % 4 == 0) block.part[warp][lane / 4] = low, block.part[warp][lane / 4 + 8] = high;
  __syncthreads();
  if (threadIdx.x < 16) {
    float value = block.part[0][threadIdx.x];
    for (int w = 1; w < repair_warps; ++w) value = f(value, block.part[w][threadIdx.x]);
    block.joined[threadIdx.x] = value;
  }
  __syncthreads();
}

// Sixteen listed rows, of which the last ones may be one and the same.
__device__ void repair_some(const PowersJoinRows& s, RepairBlock& block, int64_t member,
                            int begin) {
  const int warp = static_cast<int>(threadIdx.x / 32), lane = static_cast<int>(threadIdx.x % 32);
  const int rows[2] = {block.listed[begin + lane / 4], block.listed[begin + lane / 4 + 8]};
  const bf16 *const low = s.row(member, rows[0]), *const high = s.row(member, rows[1]);
  const bf16* const lines = s.matrix(member) + lane / 4 * s.width;
  float z[4], value[2] = {-INFINITY, -INFINITY};
  for (int64_t v = 8 * warp; v < s.vocabulary; v += 8 * repair_warps) {
    logits_of(s, low, high, lines + v * s.width, z, lane);
#pragma unroll
    for (int j = 0; j < 4; ++j) value[j / 2] = fmaxf(value[j / 2], z[j]);
  }
  over_block(block, value[0], value[1], [](float a, float b) { return fmaxf(a, b); });
  const float reference[2] = {block.joined[lane / 4], block.joined[lane / 4 + 8]};
  int64_t target[2];
#pragma unroll
  for (int r = 0; r < 2; ++r)
    target[r] = s.targets[member * s.target_stride + rows[r]] - 2 * (lane % 4);
  value[0] = value[1] = 0.0f;
  for (int64_t v = 8 * warp; v < s.vocabulary; v += 8 * repair_warps) {
    logits_of(s, low, high, lines + v * s.width, z, lane);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float a = exp2_fast(z[2 * r] - reference[r]),
                  b = exp2_fast(z[2 * r + 1] - reference[r]);
      value[r] += a + b;
      if (v == target[r] || v + 1 == target[r])
        block.hit[lane / 4 + 8 * r] = z[2 * r + (v < target[r])] - reference[r];
      if (s.q)
        *reinterpret_cast<uint32_t*>(s.powers(member, rows[r]) + v + 2 * (lane % 4)) = pack2(a, b);
    }
  }
  over_block(block, value[0], value[1], [](float a, float b) { return a + b; });
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int i = warp + 8 * r;
    if (begin + i < block.count)
      finish_powers_row(s, member, block.listed[begin + i], block.joined[i], block.hit[i], lane);
  }
  __syncthreads();
}

__global__ void __launch_bounds__(repair_threads) repair(const PowersJoinRows s) {
  __shared__ RepairBlock block;
  const int64_t member = blockIdx.y;
  const int begin = static_cast<int>(blockIdx.x) * repair_rows,
            row = begin + static_cast<int>(threadIdx.x);
  const bool own = threadIdx.x < repair_rows && row < s.rows && out_of_range(s.total(member, row));
  if (!__syncthreads_or(own)) return;
  if (threadIdx.x == 0) block.count = 0;
  for (int warp = 0; warp < repair_rows / 32; ++warp) {  // one after the other: in order
    __syncthreads();
    if (static_cast<int>(threadIdx.x / 32) != warp) continue;
    const unsigned wanting = __ballot_sync(0xffffffffu, own), lane = threadIdx.x % 32;
    const int before = block.count;
    __syncwarp();
    if (own) block.listed[before + __popc(wanting & ((1u << lane) - 1))] = row;
    if (lane == 0) block.count = before + __popc(wanting);
  }
  __syncthreads();
  if (threadIdx.x < 16) block.listed[block.count + threadIdx.x] = block.listed[block.count - 1];
  __syncthreads();
  for (int i = 0; i < block.count; i += 16) repair_some(s, block, member, i);
}

}  // namespace

void powers_repair(const PowersJoinRows& rows, int64_t members, Stream stream) {
  const dim3 grid(blocks_for(rows.rows, repair_rows), static_cast<unsigned>(members));
  repair<<<grid, repair_threads, 0, stream>>>(rows);
  check_launch();
}

}  // namespace rung::cuda
