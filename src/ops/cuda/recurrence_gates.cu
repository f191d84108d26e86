#include <cmath>

#include "ops/cuda/recurrence.cuh"

namespace rung::cuda {

// A fixed number of heads, so that sums do not depend on the size of the device or population.
int64_t RecurrenceShape::each() const {
  const int64_t shared = heads / groups;
  int64_t count = shared < 8 ? shared : 8;
  while (shared % count) --count;
  return count;
}

namespace {

constexpr float base_two = 1.44269504f;  // log2(e)

__device__ float log2_sigmoid(float x) {
  return (fminf(x, 0.0f) - log1pf(expf(-fabsf(x)))) * base_two;
}

// Inclusive scan over the warp.
template <class Join>
__device__ float scan(float x, int lane, const Join& join) {
#pragma unroll
  for (int reach = 1; reach < 32; reach *= 2) {
    const float before = __shfl_up_sync(0xffffffffu, x, reach);
    if (lane >= reach) x = join(before, x);
  }
  return x;
}

// Numbers of two neighbouring steps: log2 of decay and gain.
struct TwoSteps {
  float decay[2], gain[2];
};

template <bool exponential>
__device__ TwoSteps read_steps(const Chunked& s, int sequence, int head, int step,
                               const float* first, const float* second, float factor) {
  TwoSteps two;
  const float rate = exponential ? 0.0f : second[sequence / s.batch * s.heads + head] * base_two;
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    const bool real = step + e < s.time;
    const int64_t at = (static_cast<int64_t>(sequence) * s.time + step + e) * s.gate_stride + head;
    two.decay[e] = 0.0f;
    two.gain[e] = -INFINITY;
    if (!real) continue;
    if (exponential) {
      two.decay[e] = log2_sigmoid(second[at]);
      two.gain[e] = first[at] * base_two + factor;
    } else {
      two.decay[e] = first[at] * rate;
      two.gain[e] = log2f(first[at]);
    }
  }
  return two;
}

// A block a line, a warp a chunk, two steps a lane. mLSTM's m goes from chunk to chunk between two
// passes: the first leaves `to` without the chunk's start, and the sum in the floor's place.
// factor: log2 of what input gates are multiplied by.
template <bool exponential>
__global__ void __launch_bounds__(256)
    line_gates(Chunked s, const float* first, const float* second, float factor,
               RecurrenceGates out, float* m) {
  extern __shared__ float ends[];  // [chunks, 2]: all of a chunk's decay; its largest `from`
  const int line = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32,
            warps = blockDim.x / 32;
  const int64_t base = static_cast<int64_t>(line) * s.chunks;
  for (int c = warp; c < s.chunks; c += warps) {
    const int step = c * chunk_steps + 2 * lane;
    const TwoSteps two =
        read_steps<exponential>(s, line / s.heads, line % s.heads, step, first, second, factor);
    const float both =
        scan(two.decay[0] + two.decay[1], lane, [](float x, float y) { return x + y; });
    const float sum[2] = {both - two.decay[1], both};
    const float from[2] = {two.gain[0] - sum[0], two.gain[1] - sum[1]};
    const int64_t at = base * chunk_steps + step;
    *reinterpret_cast<float2*>(out.from + at) = make_float2(from[0], from[1]);
    if (!exponential) {
      *reinterpret_cast<float2*>(out.to + at) = make_float2(-sum[0], -sum[1]);
      if (lane == 31)
        *reinterpret_cast<float2*>(out.ends + 2 * (base + c)) = make_float2(0.0f, -both);
      continue;
    }
    const float top =
        scan(fmaxf(from[0], from[1]), lane, [](float x, float y) { return fmaxf(x, y); });
    const float before = __shfl_up_sync(0xffffffffu, top, 1);
    *reinterpret_cast<float2*>(out.to + at) =
        make_float2(lane == 0 ? from[0] : fmaxf(before, from[0]), top);
    *reinterpret_cast<float2*>(out.floor + at) = make_float2(sum[0], sum[1]);
    if (lane == 31) ends[2 * c] = both, ends[2 * c + 1] = top;
  }
  if (!exponential) return;
  __syncthreads();
  if (threadIdx.x == 0) {
    float largest = 0.0f;
    for (int c = 0; c < s.chunks; ++c) {
      const float start = largest, end = fmaxf(start, ends[2 * c + 1]);
      *reinterpret_cast<float2*>(out.ends + 2 * (base + c)) = make_float2(start, end);
      largest = ends[2 * c] + end;
      ends[2 * c] = start;
    }
    if (m != nullptr) m[line] = largest / base_two;
  }
  __syncthreads();
  for (int c = warp; c < s.chunks; c += warps) {
    const int64_t at = base * chunk_steps + c * chunk_steps + 2 * lane;
    float2 to = *reinterpret_cast<float2*>(out.to + at);
    const float2 sum = *reinterpret_cast<float2*>(out.floor + at);
    to = make_float2(fmaxf(to.x, ends[2 * c]), fmaxf(to.y, ends[2 * c]));
    *reinterpret_cast<float2*>(out.to + at) = to;
    // A floor that no ordinary value reaches: 1 without the factor exp(-m).
    *reinterpret_cast<float2*>(out.floor + at) =
        make_float2(fmaxf(exp2f(-(sum.x + to.x)), 1e-30f), fmaxf(exp2f(-(sum.y + to.y)), 1e-30f));
  }
}

// Eight values a lane, P / 8 lanes a row.
template <int P>
__global__ void __launch_bounds__(256)
    row_deltas(Chunked s, const float* sign, const bf16* y, const bf16* dy, float* delta) {
  constexpr int lanes = P / 8;
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t row = thread / lanes;  // [sequences, steps, heads]
  const int head = static_cast<int>(row % s.heads), steps = s.chunks * chunk_steps;
  const int64_t step = row / s.heads % steps, sequence = row / s.heads / steps;
  const int at = static_cast<int>(thread % lanes) * 8;
  const bool real = step < s.time && at < s.values;
  float sum = 0.0f;
  if (real) {
    float a[8], b[8];
    const int64_t from = ((sequence * s.time + step) * s.heads + head) * s.values + at;
    load8(y + from, a);
    load8(dy + from, b);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum += a[i] * b[i];
  }
  sum = group_sum<lanes>(sum);
  const int64_t to = (sequence * s.heads + head) * steps + step;
  if (at == 0) delta[to] = step < s.time ? -sign[to] * sum : 0.0f;
}

}  // namespace

void ssd_gates(const RecurrenceShape& shape, const float* dt, const float* a,
               const RecurrenceGates& gates, Stream stream) {
  const Chunked s = chunked_of(shape);
  line_gates<false>
      <<<blocks_for(shape.lines(), 1), 256, 0, stream>>>(s, dt, a, 0.0f, gates, nullptr);
  check_launch();
}

void mlstm_gates(const RecurrenceShape& shape, const float* input, const float* forget,
                 const RecurrenceGates& gates, float* m, Stream stream) {
  const Chunked s = chunked_of(shape);
  line_gates<true><<<blocks_for(shape.lines(), 1), 256, s.chunks * 8, stream>>>(
      s, input, forget, static_cast<float>(std::log2(shape.factor)), gates, m);
  check_launch();
}

// Rows are [sequences, steps, heads] and steps a multiple of 64, so that all threads have one.
void recurrence_delta(const RecurrenceShape& shape, const float* sign, const void* y,
                      const void* dy, float* delta, Stream stream) {
  const Chunked s = chunked_of(shape);
  const int64_t rows = shape.lines() * shape.steps();
  const auto run = [&](auto padded) {
    constexpr int P = decltype(padded)::value;
    row_deltas<P><<<blocks_for(rows * (P / 8), 256), 256, 0, stream>>>(
        s, sign, static_cast<const bf16*>(y), static_cast<const bf16*>(dy), delta);
  };
  if (shape.wide_values() == 32)
    run(std::integral_constant<int, 32>());
  else if (shape.wide_values() == 64)
    run(std::integral_constant<int, 64>());
  else
    run(std::integral_constant<int, 128>());
  check_launch();
}

}  // namespace rung::cuda
