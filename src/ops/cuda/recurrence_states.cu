#include "ops/cuda/recurrence.cuh"

namespace rung::cuda {
namespace {

constexpr int state_rows = 64, state_stages = 3, state_threads = 128;

// One chunk's k and v (or q and dy) of a tile of the state, and what their steps weigh.
template <int P>
struct StateStage {
  bf16 rows[chunk_steps * pitch<state_rows>], columns[chunk_steps * pitch<P>];
  float weight[chunk_steps], delta[chunk_steps];
};
template <int P>
struct StateMemory {
  StateStage<P> stage[state_stages];
  bf16 out[state_rows * pitch<P>];
};

struct StateWalk {
  const bf16 *rows, *columns;  // k and v, or q and dy
  int64_t row_stride, column_stride;
  const float *weight, *ends, *delta;
  bf16* states;
  float *norms, *last;
  int wide_keys, wide_values;
};

// k x of a pair of neighbours, rounded.
__device__ uint32_t scaled_pair(uint32_t pair, float low, float high) {
  return pack2(__uint_as_float(pair << 16) * low, __uint_as_float(pair & 0xffff0000u) * high);
}

// The tile's numbers in a warp: 16 keys by P values, and their normaliser in the first column of
// one more matrix.
template <int P>
struct StateTile {
  float sum[P / 8][4] = {}, norm[1][4] = {};
};

// state = kept state + sum over the steps of weighted rows^T columns.
template <int P, bool normalised, bool backward>
__device__ void take_chunk(StateTile<P>& state, const StateStage<P>& in, float2 ends, int lane,
                           int warp) {
  const float kept = exp2f(ends.x - ends.y);
#pragma unroll
  for (int e = 0; e < 4; ++e) {
#pragma unroll
    for (int n = 0; n < P / 8; ++n) state.sum[n][e] *= kept;
    if (normalised) state.norm[0][e] *= kept;
  }
  const Tile<pitch<state_rows>> rows{in.rows, lane};
  const Tile<pitch<P>> columns{in.columns, lane};
#pragma unroll
  for (int k = 0; k < chunk_steps / 16; ++k) {
    Quad a;
    rows.as_a_of_columns(a, k, warp);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float2 w =
          *reinterpret_cast<const float2*>(in.weight + 16 * k + 8 * half + 2 * (lane % 4));
      const float low = exp2_fast(backward ? ends.x - w.x : w.x - ends.y),
                  high = exp2_fast(backward ? ends.x - w.y : w.y - ends.y);
      a[2 * half] = scaled_pair(a[2 * half], low, high);
      a[2 * half + 1] = scaled_pair(a[2 * half + 1], low, high);
    }
    add_product(state.sum, a, columns, k, 0);
    if (normalised) {
      uint32_t b[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (backward) {
          const float2 d =
              *reinterpret_cast<const float2*>(in.delta + 16 * k + 8 * half + 2 * (lane % 4));
          b[half] = split_column(d.x, d.y, lane);
        } else {
          b[half] = lane < 4 ? pack2(1.0f, 1.0f) : 0u;
        }
      }
      multiply_add(state.norm[0], a, b[0], b[1]);
    }
  }
}

template <int P, bool normalised, bool backward>
__device__ void load_stage(const Chunked& s, const StateWalk& w, StateStage<P>& to, int sequence,
                           int head, int chunk, int key, int value) {
  const Place at(s, sequence, chunk);
  const int group = head / (s.heads / s.groups);
  load_rows<state_rows>(to.rows, w.rows + at.first * w.row_stride + group * s.keys + key,
                        w.row_stride, chunk_steps, at.steps, s.keys - key);
  load_rows<P>(to.columns, w.columns + at.first * w.column_stride + head * s.values + value,
               w.column_stride, chunk_steps, at.steps, s.values - value);
  const int64_t steps = at.block(s, head) * chunk_steps;
  load_floats(to.weight, w.weight + steps, chunk_steps, 0);
  if (normalised && backward) load_floats(to.delta, w.delta + steps, chunk_steps, 32);
}

template <int P, bool normalised>
__device__ void write_last(const Chunked& s, const StateTile<P>& state, float* last, int key,
                           int value, int lane) {
  const int columns = s.values + (normalised ? 1 : 0);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = key + lane / 4 + 8 * r;
    if (row >= s.keys) continue;
#pragma unroll
    for (int n = 0; n < P / 8; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int column = value + 8 * n + 2 * (lane % 4) + e;
        if (column < s.values) last[row * columns + column] = state.sum[n][2 * r + e];
      }
    if (normalised && value == 0 && lane % 4 == 0)
      last[row * columns + s.values] = state.norm[0][2 * r] + state.norm[0][2 * r + 1];
  }
}

// A block has 64 keys by P values of a line's state in registers, a warp 16 keys, and walks over
// the chunks, backward for gradients; what it holds before it takes a chunk is written.
template <int P, bool normalised, bool backward>
__global__ void __launch_bounds__(state_threads) walk_states(Chunked s, StateWalk w) {
  extern __shared__ __align__(16) char memory[];
  StateMemory<P>& shared = *reinterpret_cast<StateMemory<P>*>(memory);
  const int sequence = blockIdx.x / s.heads, head = blockIdx.x % s.heads, lane = threadIdx.x % 32,
            warp = threadIdx.x / 32;
  const int across = w.wide_values / P;
  const int key = blockIdx.y / across * state_rows, value = blockIdx.y % across * P;
  const auto chunk_of = [&](int i) { return backward ? s.chunks - 1 - i : i; };
  const auto load = [&](int i) {
    if (i < s.chunks)
      load_stage<P, normalised, backward>(s, w, shared.stage[i % state_stages], sequence, head,
                                          chunk_of(i), key, value);
    commit_copies();
  };
  const auto block_of = [&](int i) { return Place(s, sequence, chunk_of(i)).block(s, head); };
  const auto ends_of = [&](int i) {
    return *reinterpret_cast<const float2*>(w.ends + 2 * block_of(i));
  };
  StateTile<P> state;
  for (int i = 0; i + 1 < state_stages; ++i) load(i);
  float2 next = ends_of(0);
  for (int i = 0; i < s.chunks; ++i) {
    const int64_t block = block_of(i);
    const float2 ends = next;  // a link ahead: the walk is a chain
    if (i + 1 < s.chunks) next = ends_of(i + 1);
    bf16* const out = shared.out + 16 * warp * pitch<P>;
    put_rows<P>(out, 0, state.sum, lane);
    __syncwarp();
    write_rows<P>(w.states + (block * w.wide_keys + key + 16 * warp) * w.wide_values + value,
                  w.wide_values, out, 0, P, 16, P, lane);
    if (normalised && value == 0 && lane % 4 == 0)
#pragma unroll
      for (int r = 0; r < 2; ++r)
        w.norms[block * w.wide_keys + key + 16 * warp + lane / 4 + 8 * r] =
            state.norm[0][2 * r] + state.norm[0][2 * r + 1];
    wait_copies<state_stages - 2>();
    __syncthreads();
    load(i + state_stages - 1);  // over the stage that all have left
    take_chunk<P, normalised, backward>(state, shared.stage[i % state_stages], ends, lane, warp);
  }
  if (!backward && w.last != nullptr)
    write_last<P, normalised>(
        s, state, w.last + static_cast<int64_t>(blockIdx.x) * s.keys * (s.values + normalised),
        key + 16 * warp, value, lane);
}

template <bool backward>
void walk(const RecurrenceShape& shape, const StateWalk& w, Stream stream) {
  const Chunked s = chunked_of(shape);
  const auto run = [&](auto tile, auto normalised) {
    constexpr int P = decltype(tile)::value;
    constexpr bool has_norm = decltype(normalised)::value;
    constexpr int bytes = sizeof(StateMemory<P>);
    allow_memory(walk_states<P, has_norm, backward>, bytes);
    const dim3 grid(
        blocks_for(shape.lines(), 1),
        static_cast<unsigned>(shape.wide_keys() / state_rows * shape.wide_values() / P));
    walk_states<P, has_norm, backward><<<grid, state_threads, bytes, stream>>>(s, w);
  };
  // The walk is a chain: where there are few blocks, smaller tiles make its links shorter.
  constexpr int64_t many = 256;
  const int64_t squares =
      shape.lines() * (shape.wide_keys() / state_rows) * ((shape.wide_values() + 63) / 64);
  const auto sized = [&](auto normalised) {
    if (shape.wide_values() == 32 || squares < many)
      run(std::integral_constant<int, 32>(), normalised);
    else
      run(std::integral_constant<int, 64>(), normalised);
  };
  if (shape.normalised)
    sized(std::true_type());
  else
    sized(std::false_type());
  check_launch();
}

}  // namespace

void recurrence_states(const RecurrenceShape& shape, StepRows k, StepRows v,
                       const RecurrenceGates& gates, const RecurrenceStates& to, float* last,
                       Stream stream) {
  walk<false>(shape,
              {static_cast<const bf16*>(k.data), static_cast<const bf16*>(v.data), k.stride,
               v.stride, gates.from, gates.ends, nullptr, static_cast<bf16*>(to.states), to.norms,
               last, static_cast<int>(shape.wide_keys()), static_cast<int>(shape.wide_values())},
              stream);
}

void recurrence_state_gradients(const RecurrenceShape& shape, StepRows q, const void* dy,
                                const RecurrenceGates& gates, const float* delta,
                                const RecurrenceStates& to, Stream stream) {
  walk<true>(shape,
             {static_cast<const bf16*>(q.data), static_cast<const bf16*>(dy), q.stride,
              shape.heads * shape.values, gates.to, gates.ends, delta,
              static_cast<bf16*>(to.states), to.norms, nullptr, static_cast<int>(shape.wide_keys()),
              static_cast<int>(shape.wide_values())},
             stream);
}

}  // namespace rung::cuda
