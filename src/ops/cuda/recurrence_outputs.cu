#include "ops/cuda/recurrence.cuh"

namespace rung::cuda {
namespace {

constexpr int output_threads = 128;

template <int N, int P>
struct OutputMemory {
  bf16 q[chunk_steps * pitch<N>], k[chunk_steps * pitch<N>], v[chunk_steps * pitch<P>],
      state[N * pitch<P>];
  float from[chunk_steps], norm[N];
};

struct Outputs {
  const bf16 *q, *k, *v;
  int64_t q_stride, k_stride, v_stride;
  RecurrenceGates gates;
  const bf16* states;
  const float *norms, *skip;
  float* to_gradient;
  bf16* y;
};

// What a warp's rows g and g + 8 are to be multiplied and compared with.
struct OutputRows {
  float to[2], floor[2], carried[2];  // carried: the factor on what came from before the chunk
};

// Sixteen queries' products with the state, and with its normaliser in columns 0 and 1.
template <int N, int P, bool normalised>
__device__ void read_state(const OutputMemory<N, P>& in, float (&sum)[P / 8][4], float (&norm)[4],
                           int lane, int warp) {
  const Tile<pitch<N>> q{in.q, lane};
  const Tile<pitch<P>> state{in.state, lane};
#pragma unroll
  for (int k = 0; k < N / 16; ++k) {
    Quad a;
    q.as_a(a, warp, k);
    add_product(sum, a, state, k, 0);
    if (normalised) {
      const float* const n = in.norm + 16 * k + 2 * (lane % 4);
      multiply_add(norm, a, split_column(n[0], n[1], lane), split_column(n[8], n[9], lane));
    }
  }
}

// Adds the chunk's own steps up to each query; `scores` are q k. total: of the weights.
template <int N, int P>
__device__ void read_chunk(const OutputMemory<N, P>& in, const float (&scores)[4][2][4],
                           const OutputRows& rows, float (&sum)[P / 8][4], float (&total)[2],
                           int lane, int warp) {
  const Tile<pitch<P>> v{in.v, lane};
  const int g = lane / 4, c = lane % 4;
#pragma unroll
  for (int t = 0; t < 4; ++t) {
    if (t > warp) continue;
    float p[2][4];
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      const float2 from = *reinterpret_cast<const float2*>(in.from + 16 * t + 8 * n + 2 * c);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const bool later = t == warp && 8 * n + 2 * c + e % 2 > g + e / 2 * 8;
        const float weight = exp2_fast((e % 2 ? from.y : from.x) - rows.to[e / 2]);
        p[n][e] = later ? 0.0f : scores[t][n][e] * weight;
        total[e / 2] += p[n][e];
      }
    }
    Quad a;
    as_a(a, p[0], p[1]);
    add_product(sum, a, v, t, 0);
  }
}

// Adds what skips the recurrence.
template <int N, int P>
__device__ void add_skip(const OutputMemory<N, P>& in, float skip, float (&sum)[P / 8][4], int lane,
                         int warp) {
#pragma unroll
  for (int n = 0; n < P / 8; ++n)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const uint32_t pair = *reinterpret_cast<const uint32_t*>(
          in.v + (16 * warp + lane / 4 + 8 * r) * pitch<P> + 8 * n + 2 * (lane % 4));
      sum[n][2 * r] += skip * __uint_as_float(pair << 16);
      sum[n][2 * r + 1] += skip * __uint_as_float(pair & 0xffff0000u);
    }
}

// Divides by the denominator and keeps what the gradient needs of it.
template <int P>
__device__ void normalise(const OutputRows& rows, float (&sum)[P / 8][4], const float (&total)[2],
                          const float (&norm)[4], float* to_gradient, float* floor, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float before = norm[2 * r] + norm[2 * r + 1];
    before = __shfl_sync(0xffffffffu, before, lane / 4 * 4);
    float here = total[r];
    here += __shfl_xor_sync(0xffffffffu, here, 1);
    here += __shfl_xor_sync(0xffffffffu, here, 2);
    const float signed_sum = here + before * rows.carried[r], size = fabsf(signed_sum);
    const float denominator = fmaxf(size, rows.floor[r]);
#pragma unroll
    for (int n = 0; n < P / 8; ++n) sum[n][2 * r] /= denominator, sum[n][2 * r + 1] /= denominator;
    if (to_gradient != nullptr && lane % 4 == 0) {
      to_gradient[lane / 4 + 8 * r] = rows.to[r] + log2f(denominator);
      floor[lane / 4 + 8 * r] = size >= rows.floor[r] ? copysignf(1.0f, signed_sum) : 0.0f;
    }
  }
}

// What the gates say of the lane's two rows, of which `step` is the first.
template <bool normalised>
__device__ inline OutputRows rows_at(const Outputs& o, int64_t block, int64_t step) {
  OutputRows rows;
  const float start = o.gates.ends[2 * block];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    rows.to[r] = o.gates.to[step + 8 * r];
    if (normalised) rows.floor[r] = o.gates.floor[step + 8 * r];
    rows.carried[r] = exp2f(start - rows.to[r]);
  }
  return rows;
}

// A block takes a chunk and some heads of a group, one after the other, a warp 16 queries: q, k and
// their products serve all of the heads.
template <int N, int P, bool normalised>
__global__ void __launch_bounds__(output_threads) mix_chunks(Chunked s, Outputs o) {
  extern __shared__ __align__(16) char memory[];
  OutputMemory<N, P>& shared = *reinterpret_cast<OutputMemory<N, P>*>(memory);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, shares = s.groups * s.splits();
  const int share = blockIdx.x % shares, group = share / s.splits();
  const Place at(s, blockIdx.x / shares / s.chunks, blockIdx.x / shares % s.chunks);
  load_rows<N>(shared.q, o.q + at.first * o.q_stride + group * s.keys, o.q_stride, chunk_steps,
               at.steps, s.keys);
  load_rows<N>(shared.k, o.k + at.first * o.k_stride + group * s.keys, o.k_stride, chunk_steps,
               at.steps, s.keys);
  float scores[4][2][4] = {};
  for (int i = 0; i < s.each; ++i) {
    const int head = share * s.each + i;
    const int64_t block = at.block(s, head), step = block * chunk_steps + 16 * warp + lane / 4;
    load_rows<P>(shared.v, o.v + at.first * o.v_stride + head * s.values, o.v_stride, chunk_steps,
                 at.steps, s.values);
    load_rows<P>(shared.state, o.states + block * N * P, P, N, N, P);
    load_floats(shared.from, o.gates.from + block * chunk_steps, chunk_steps, 0);
    if (normalised) load_floats(shared.norm, o.norms + block * N, N, 32);
    commit_copies();
    const OutputRows rows = rows_at<normalised>(o, block, step);
    wait_copies<0>();
    __syncthreads();
    if (i == 0) {
      const Tile<pitch<N>> q{shared.q, lane}, k{shared.k, lane};
      for (int n = 0; n < N / 16; ++n) {
        Quad a;
        q.as_a(a, warp, n);
#pragma unroll
        for (int t = 0; t < 4; ++t)
          if (t <= warp) add_transposed(scores[t], a, k, t, n);
      }
    }
    float sum[P / 8][4] = {}, norm[4] = {}, total[2] = {};
    read_state<N, P, normalised>(shared, sum, norm, lane, warp);
#pragma unroll
    for (int n = 0; n < P / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[n][e] *= rows.carried[e / 2];
    read_chunk<N, P>(shared, scores, rows, sum, total, lane, warp);
    if (normalised)
      normalise<P>(rows, sum, total, norm,
                   o.to_gradient ? o.to_gradient + block * chunk_steps + 16 * warp : nullptr,
                   o.gates.floor + block * chunk_steps + 16 * warp, lane);
    if (!normalised && o.skip != nullptr)
      add_skip<N, P>(shared, o.skip[at.sequence / s.batch * s.heads + head], sum, lane, warp);
    __syncthreads();  // v has been read, and takes y on its way out
    bf16* const out = shared.v + 16 * warp * pitch<P>;
    put_rows<P>(out, 0, sum, lane);
    __syncwarp();
    write_rows<P>(o.y + ((at.first + 16 * warp) * s.heads + head) * s.values,
                  static_cast<int64_t>(s.heads) * s.values, out, 0, P, at.steps - 16 * warp,
                  s.values, lane);
    __syncthreads();
  }
}

}  // namespace

void recurrence_outputs(const RecurrenceShape& shape, StepRows q, StepRows k, StepRows v,
                        const RecurrenceGates& gates, const RecurrenceStates& states,
                        const float* skip, float* to_gradient, void* y, Stream stream) {
  const Chunked s = chunked_of(shape);
  const Outputs o{static_cast<const bf16*>(q.data),
                  static_cast<const bf16*>(k.data),
                  static_cast<const bf16*>(v.data),
                  q.stride,
                  k.stride,
                  v.stride,
                  gates,
                  static_cast<const bf16*>(states.states),
                  states.norms,
                  skip,
                  to_gradient,
                  static_cast<bf16*>(y)};
  with_sizes(shape, [&](auto keys, auto values, auto normalised) {
    constexpr int N = decltype(keys)::value, P = decltype(values)::value;
    constexpr bool has_norm = decltype(normalised)::value;
    constexpr int bytes = sizeof(OutputMemory<N, P>);
    allow_memory(mix_chunks<N, P, has_norm>, bytes);
    const int64_t blocks = shape.sequences() * shape.chunks() * shape.groups * shape.splits();
    mix_chunks<N, P, has_norm><<<blocks_for(blocks, 1), output_threads, bytes, stream>>>(s, o);
  });
  check_launch();
}

}  // namespace rung::cuda
