#include "ops/cuda/recurrence_backward.cuh"

namespace rung::cuda {
namespace {

// Gradients of the gates, by one warp, two steps a lane. The decay of step t is in all that passes
// from before t to t or later: what E's queries from t on hold but for their keys from t on, what
// they take from before the chunk, what earlier keys leave behind it, and what goes through it. No
// sum goes beyond a chunk, and nothing large cancels between different roundings.
template <int N, int P, bool normalised>
__device__ void gate_gradients(const Chunked& s, const Gradients& out,
                               const GradientMemory<N, P>& in, const Place& at, int head,
                               float2 ends, int lane) {
  float own[2], behind[2], gain[2];
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    const int t = 2 * lane + e;
    float by_key = 0.0f;
    for (int tile = t / 16; tile < 4; ++tile) by_key += in.by_key[tile][t];
    behind[e] = in.behind[0][t] + in.behind[1][t];
    gain[e] = by_key + behind[e];
    own[e] = in.by_query[0][t] + in.by_query[1][t] + in.before[0][t] + in.before[1][t] - by_key;
  }
  float from_here = own[0] + own[1], earlier = behind[0] + behind[1];
#pragma unroll
  for (int reach = 1; reach < 32; reach *= 2) {
    const float x = __shfl_down_sync(0xffffffffu, from_here, reach),
                y = __shfl_up_sync(0xffffffffu, earlier, reach);
    if (lane + reach < 32) from_here += x;
    if (lane >= reach) earlier += y;
  }
  earlier -= behind[0] + behind[1];
  float through = 0.0f;
#pragma unroll
  for (int i = 0; i < gradient_threads / 32; ++i) through += in.through[i];
  through *= exp2f(ends.x - ends.y);
  const float decay[2] = {through + earlier + from_here,
                          through + earlier + behind[0] + from_here - own[0]};
  const int64_t line = at.first * s.gate_stride + head;
  const float rate = normalised ? 0.0f : out.second[at.sequence / s.batch * s.heads + head];
  float drate = 0.0f;
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    const int t = 2 * lane + e;
    if (t >= at.steps) continue;
    const int64_t to = line + static_cast<int64_t>(t) * s.gate_stride;
    if (normalised) {
      out.dfirst[to] = gain[e];
      out.dsecond[to] = decay[e] / (1.0f + expf(out.second[to]));
    } else {
      const float dt = out.first[to];
      out.dfirst[to] = decay[e] * rate + gain[e] / fmaxf(dt, 1e-30f);
      drate += decay[e] * dt;
    }
  }
  if (normalised) return;
  drate = group_sum<32>(drate);
  if (lane != 0) return;
  const int64_t to = (static_cast<int64_t>(at.sequence) * s.chunks + at.chunk) * s.heads + head;
  out.dsecond[to] = drate;
  if (out.skip == nullptr) return;
  float skipped = 0.0f;
#pragma unroll
  for (int i = 0; i < gradient_threads / 32; ++i) skipped += in.skipped[i];
  out.dskip[to] = skipped;
}

template <int N, int P>
constexpr int gradient_blocks = sizeof(GradientMemory<N, P>) <= 113 * 1024 ? 2 : 1;

// A block takes a chunk and some heads of a group, one after the other, whose parts of dq and dk it
// sums.
template <int N, int P, bool normalised>
__global__ void __launch_bounds__(gradient_threads, gradient_blocks<N, P>)
    chunk_gradients(Chunked s, Gradients g) {
  extern __shared__ __align__(16) char memory[];
  GradientMemory<N, P>& shared = *reinterpret_cast<GradientMemory<N, P>*>(memory);
  const int warp = threadIdx.x / 32, shares = s.groups * s.splits();
  const Stand w{static_cast<int>(threadIdx.x % 32), warp % 4, warp / 4};
  const int share = blockIdx.x % shares, group = share / s.splits();
  const Place at(s, blockIdx.x / shares / s.chunks, blockIdx.x / shares % s.chunks);
  const int rows = at.steps - 16 * w.tile;
  load_rows<N>(shared.q, g.q + at.first * g.q_stride + group * s.keys, g.q_stride, chunk_steps,
               at.steps, s.keys);
  load_rows<N>(shared.k, g.k + at.first * g.k_stride + group * s.keys, g.k_stride, chunk_steps,
               at.steps, s.keys);
  float scores[2][2][4] = {}, dq[N / 16][4] = {}, dk[N / 16][4] = {};
  for (int i = 0; i < s.each; ++i) {
    const int head = share * s.each + i;
    const float2 ends = *reinterpret_cast<const float2*>(g.ends + 2 * at.block(s, head));
    load_head<N, P>(s, g, shared, at, head, normalised);
    commit_copies();
    wait_copies<0>();
    __syncthreads();
    if (i == 0) score<N, P>(shared, w, scores);
    weigh<N, P, normalised>(shared, w, scores);
    __syncthreads();
    add_query_and_key<N, P, normalised>(shared, w, ends, dq, dk);
    float dv[P / 16][4] = {};
    const float skip =
        normalised || g.skip == nullptr ? 0.0f : g.skip[at.sequence / s.batch * s.heads + head];
    value_gradient<N, P>(shared, w, ends, skip, dv);
    products<N, P, normalised>(shared, g.skip != nullptr);
    __syncthreads();  // v has been read, and takes its gradient on its way out
    bf16* const out = shared.v + 16 * w.tile * pitch<P>;
    put_rows<P>(out, w.half * (P / 2), dv, w.lane);
    __syncwarp();
    write_rows<P>(g.dv + (at.first + 16 * w.tile) * g.dv_stride + head * s.values, g.dv_stride, out,
                  w.half * (P / 2), P / 2, rows, s.values, w.lane);
    if (warp == 0) gate_gradients<N, P, normalised>(s, g, shared, at, head, ends, w.lane);
    __syncthreads();
  }
  const auto write = [&](bf16* to, int64_t stride, bf16* through, const float(&sum)[N / 16][4]) {
    bf16* const out = through + 16 * w.tile * pitch<N>;
    put_rows<N>(out, w.half * (N / 2), sum, w.lane);
    __syncwarp();
    write_rows<N>(to + (at.first + 16 * w.tile) * stride + share * s.keys, stride, out,
                  w.half * (N / 2), N / 2, rows, s.keys, w.lane);
  };
  write(g.dq, g.dq_stride, shared.q, dq);
  write(g.dk, g.dk_stride, shared.k, dk);
}

}  // namespace

void recurrence_gradients(const RecurrenceShape& shape, const RecurrenceGradient& in,
                          Stream stream) {
  const Chunked s = chunked_of(shape);
  const auto half = [](const void* p) { return static_cast<const bf16*>(p); };
  const auto writable = [](void* p) { return static_cast<bf16*>(p); };
  const Gradients g{half(in.q.data),
                    half(in.k.data),
                    half(in.v.data),
                    half(in.dy),
                    in.q.stride,
                    in.k.stride,
                    in.v.stride,
                    in.gates.from,
                    in.gates.to,
                    in.gates.ends,
                    in.delta,
                    half(in.states.states),
                    half(in.gradients.states),
                    in.states.norms,
                    in.gradients.norms,
                    in.first,
                    in.second,
                    in.skip,
                    writable(in.dq),
                    writable(in.dk),
                    writable(in.dv),
                    in.dq_stride,
                    in.dk_stride,
                    in.dv_stride,
                    in.dfirst,
                    in.dsecond,
                    in.dskip};
  with_sizes(shape, [&](auto keys, auto values, auto normalised) {
    constexpr int N = decltype(keys)::value, P = decltype(values)::value;
    constexpr bool has_norm = decltype(normalised)::value;
    constexpr int bytes = sizeof(GradientMemory<N, P>);
    allow_memory(chunk_gradients<N, P, has_norm>, bytes);
    const int64_t blocks = shape.sequences() * shape.chunks() * shape.groups * shape.splits();
    chunk_gradients<N, P, has_norm>
        <<<blocks_for(blocks, 1), gradient_threads, bytes, stream>>>(s, g);
  });
  check_launch();
}

}  // namespace rung::cuda
