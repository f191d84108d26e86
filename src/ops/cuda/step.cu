// What frames a step on the device: the batch, the gradient norm and the verdict on every member.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;
constexpr int64_t chunk = threads * 4 * 8;  // elements of one block's sum

__global__ void __launch_bounds__(threads)
    squares(int64_t size, const float* gradient, double* partial) {
  const float* from = gradient + blockIdx.y * size;
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int64_t at = blockIdx.x * chunk + (i * threads + threadIdx.x) * 4;
    if (at >= size) continue;
    const float4 x = *reinterpret_cast<const float4*>(from + at);
    sum += x.x * x.x + x.y * x.y + x.z * x.z + x.w * x.w;
  }
  const double total = block_sum(static_cast<double>(sum));
  if (threadIdx.x == 0) partial[blockIdx.y * static_cast<int64_t>(gridDim.x) + blockIdx.x] = total;
}

__global__ void __launch_bounds__(1024) finish(Finish f) {
  const int64_t member = blockIdx.x;
  double sum = 0.0, losses = 0.0;
  for (int64_t i = threadIdx.x; i < f.blocks; i += 1024) sum += f.partial[member * f.blocks + i];
  for (int64_t i = threadIdx.x; i < f.rows; i += 1024)
    losses += static_cast<double>(f.losses[member * f.rows + i]);
  sum = block_sum(sum);
  losses = block_sum(losses);
  if (threadIdx.x != 0) return;
  const float* control = f.control + member * control_count;
  const double norm = sqrt(sum), loss = losses / static_cast<double>(f.rows);
  const double clip = control[control_clip];
  const bool alive =
      f.alive[member] && control[control_running] != 0.0f && isfinite(norm) && isfinite(loss);
  f.alive[member] = alive;
  for (int i = 0; i < 8; ++i) f.hyper[member * 8 + i] = control[i];
  f.hyper[member * 8 + 7] = clip > 0.0 && norm > clip ? static_cast<float>(clip / norm) : 1.0f;
  float* result = f.result + member * result_count;
  result[result_loss] = static_cast<float>(loss);
  result[result_norm] = static_cast<float>(norm);
  result[result_alive] = alive ? 1.0f : 0.0f;
}

__global__ void __launch_bounds__(threads)
    split(int64_t total, int64_t sequences, int64_t time, int64_t begin, int64_t count,
          const int32_t* windows, int64_t* tokens, int64_t* targets) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= total) return;
  const int64_t t = index % time, sequence = index / time % count, member = index / time / count;
  const int32_t* from = windows + (member * sequences + begin + sequence) * (time + 1) + t;
  tokens[index] = from[0];
  targets[index] = from[1];
}

}  // namespace

int64_t square_blocks(int64_t size) {
  return (size + chunk - 1) / chunk;
}

void sum_squares(int64_t members, int64_t size, const float* gradient, double* partial,
                 Stream stream) {
  const dim3 grid(static_cast<unsigned>(square_blocks(size)), static_cast<unsigned>(members));
  squares<<<grid, threads, 0, stream>>>(size, gradient, partial);
  check_launch();
}

void finish_step(const Finish& f, Stream stream) {
  finish<<<static_cast<unsigned>(f.members), 1024, 0, stream>>>(f);
  check_launch();
}

void split_windows(int64_t members, int64_t sequences, int64_t time, int64_t begin, int64_t count,
                   const int32_t* windows, int64_t* tokens, int64_t* targets, Stream stream) {
  const int64_t total = members * count * time;
  split<<<blocks_for(total, threads), threads, 0, stream>>>(total, sequences, time, begin, count,
                                                            windows, tokens, targets);
  check_launch();
}

}  // namespace rung::cuda
