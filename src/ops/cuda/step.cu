// What frames a step on the device: the batch, the gradient norm and the verdict on every member.
#include <algorithm>

#include "ops/cuda/common.cuh"
#include "ops/cuda/gradients.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;
constexpr int64_t chunk = threads * 4 * 8;  // elements of one block's sum

// Where the present turn's numbers lie, from where the first slot's do.
template <class T>
__device__ const T* present(const Turns& t, int64_t member, const T* first) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(first) +
                                    t.turn[member] % t.slots * t.stride);
}

// Both sums over the block; every thread gets them.
__device__ double2 block_sums(double a, double b) {
  __shared__ double2 warps[threads / 32];
  a = group_sum<32>(a), b = group_sum<32>(b);
  __syncthreads();
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = make_double2(a, b);
  __syncthreads();
  double2 sum = warps[0];
#pragma unroll
  for (int i = 1; i < threads / 32; ++i) sum.x += warps[i].x, sum.y += warps[i].y;
  return sum;
}

// A thread's share of the squares, its fours one after the other; a block's of one buffer.
__device__ float squares_of_one(const Finish& f, int64_t member) {
  const float* const from = f.gradient.wide + member * f.gradient.wide_stride;
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int64_t at = blockIdx.x * chunk + (i * threads + threadIdx.x) * 4;
    if (at >= f.size) continue;
    const float4 x = *reinterpret_cast<const float4*>(from + at);
    sum += x.x * x.x + x.y * x.y + x.z * x.z + x.w * x.w;
  }
  return sum;
}

// And of two: all places first, then all that lies there.
__device__ float squares_of_two(const Finish& f, int64_t member) {
  int place[8];
  FourGradients raw[8];
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int64_t at = blockIdx.x * chunk + (i * threads + threadIdx.x) * 4;
    place[i] = at < f.size ? f.gradient.places[at / 128] : 0;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int64_t at = blockIdx.x * chunk + (i * threads + threadIdx.x) * 4;
    raw[i] = {};
    if (at < f.size) raw[i] = read_gradient(f.gradient, member, at, place[i]);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    float x[4];
    unpack(raw[i], x);
    sum += x[0] * x[0] + x[1] * x[1] + x[2] * x[2] + x[3] * x[3];
  }
  return sum;
}

// A block's share of the squares and of the losses; the last of a member's blocks to end (a count,
// the only atomic number here) adds all shares in their order and gives the verdict.
template <bool split>
__global__ void __launch_bounds__(threads) finish(Finish f) {
  __shared__ bool last;
  const int64_t member = blockIdx.y, blocks = gridDim.x;
  // Asked for early: the verdict waits for nothing but the sums.
  const unsigned turn = f.turns.turn[member];
  const float* const control = present(f.turns, member, f.control) + member * control_count;
  const float hyper = control[threadIdx.x % 8], clip = control[control_clip];
  const uint64_t key = *reinterpret_cast<const uint64_t*>(control + control_key);
  const bool runs = f.alive[member] && control[control_running] != 0.0f;
  const float sum = split ? squares_of_two(f, member) : squares_of_one(f, member);
  double losses = 0.0;
  for (int64_t i = blockIdx.x * threads + threadIdx.x; i < f.rows; i += blocks * threads)
    losses += static_cast<double>(f.losses[member * f.rows + i]);
  double2* const shares = reinterpret_cast<double2*>(f.partial) + member * blocks;
  const double2 own = block_sums(static_cast<double>(sum), losses);
  if (threadIdx.x == 0) {
    shares[blockIdx.x] = own;
    __threadfence();
    last = atomicAdd(f.ended + member, 1u) == static_cast<unsigned>(blocks - 1);
  }
  __syncthreads();
  if (!last) return;
  __threadfence();
  double squares = 0.0;
  losses = 0.0;
  for (int64_t i = threadIdx.x; i < blocks; i += threads) {
    const double2 share = __ldcg(shares + i);
    squares += share.x;
    losses += share.y;
  }
  const double2 all = block_sums(squares, losses);
  const double norm = sqrt(all.x), mean = all.y / static_cast<double>(f.rows);
  const bool alive = runs && isfinite(norm) && isfinite(mean);
  if (threadIdx.x < 7) f.hyper[member * 8 + threadIdx.x] = hyper;
  if (threadIdx.x != 0) return;
  if (f.keys) f.keys[member] = key;
  f.hyper[member * 8 + 7] = clip > 0.0f && norm > clip ? static_cast<float>(clip / norm) : 1.0f;
  f.ended[member] = 0;
  f.alive[member] = alive;
  f.turns.turn[member] = turn + 1;
  float* const result = f.result + (turn % f.turns.slots * f.members + member) * result_count;
  result[result_loss] = static_cast<float>(mean);
  result[result_norm] = static_cast<float>(norm);
  result[result_alive] = alive ? 1.0f : 0.0f;
}

__global__ void __launch_bounds__(threads)
    split(int64_t total, int64_t sequences, int64_t time, int64_t begin, int64_t count, Turns turns,
          const int32_t* windows, int64_t* tokens, int64_t* targets, ClearedRun zeros,
          int64_t vectors) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  const int64_t each = zeros.size / 4;  // of a member
  for (int64_t i = index; i < vectors; i += static_cast<int64_t>(gridDim.x) * threads)
    reinterpret_cast<float4*>(zeros.begin + i / each * zeros.stride)[i % each] =
        make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  if (index >= total) return;
  const int64_t t = index % time, sequence = index / time % count, member = index / time / count;
  const int32_t* from =
      present(turns, member, windows) + (member * sequences + begin + sequence) * (time + 1) + t;
  tokens[index] = from[0];
  targets[index] = from[1];
}

}  // namespace

int64_t finish_blocks(int64_t size) {
  return (size + chunk - 1) / chunk;
}

void finish_step(const Finish& f, Stream stream) {
  const auto kernel = f.gradient.places ? finish<true> : finish<false>;
  kernel<<<dim3(static_cast<unsigned>(finish_blocks(f.size)), static_cast<unsigned>(f.members)),
           threads, 0, stream>>>(f);
  check_launch();
}

void split_windows(int64_t members, int64_t sequences, int64_t time, int64_t begin, int64_t count,
                   const Turns& turns, const int32_t* windows, int64_t* tokens, int64_t* targets,
                   const ClearedRun& zeros, Stream stream) {
  const int64_t total = members * count * time, size = members * zeros.size;
  const unsigned blocks = std::max(blocks_for(total, threads), blocks_for(size, 16 * threads));
  split<<<blocks, threads, 0, stream>>>(total, sequences, time, begin, count, turns, windows,
                                        tokens, targets, zeros, size / 4);
  check_launch();
}

}  // namespace rung::cuda
