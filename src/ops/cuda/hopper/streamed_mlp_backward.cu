// Backward: a warpgroup makes hidden units of its 64 rows again, 32 at a time, and adds up the
// gradient of its rows in registers; what the matrices' gradients are made of goes to global
// memory.
#include "ops/cuda/hopper/streamed_map.cuh"
#include "ops/cuda/hopper/streamed_mlp.cuh"
#include "ops/cuda/hopper/streamed_through.cuh"
#include "ops/cuda/hopper/streamed_write.cuh"

namespace rung::cuda {
namespace {

template <Curve curve_>
struct StreamedBackward {
  static constexpr Curve curve = curve_;
  static constexpr int parts = gated<curve> ? 2 : 1, units = 32;
  static constexpr int first_rows = parts * units, panel_bytes = first_rows * panel_row;
  static constexpr int first_bytes = long_panels * panel_bytes, second_bytes = long_row * units * 2;
  static constexpr int stages = 2;
  using First = StageRing<stages, first_bytes>;
  using Second = StageRing<stages, second_bytes>;
  static constexpr int first_at = 2 * streamed_rows_bytes,
                       second_at = first_at + stages * first_bytes;
  static constexpr int ring_bytes = stages * (first_bytes + second_bytes);
  static constexpr int rstd_at =
      first_at + (ring_bytes > ThroughSlices::bytes ? ring_bytes : ThroughSlices::bytes);
  static constexpr int barriers_at = rstd_at + streamed_rows * 4;
  static constexpr int through_at = barriers_at + 32 * stages + 8;
  static constexpr int bytes = 1024 + through_at + ThroughSlices::barrier_bytes;
};

struct Backward {
  StreamedParts in;
  bf16 *dx, *unit, *units, *hidden;
  float dhidden, epsilon;
  LongBack back;
  MapBehind map;
  ThroughNext through;
};
struct BackMaps : StreamedMaps {
  ThroughMaps through;
};

template <class C>
struct Rings {
  typename C::First first;
  typename C::Second second;
};

// What one thread brings: the slices, then the map. `before(slice)` is called before each slice and
// behind the last.
template <class C, class Before>
__device__ void bring_back(Rings<C> rings, int slices, const StreamedMaps& maps, bool mapped,
                           const Before& before) {
  auto& [first, second] = rings;
  for (int slice = 0; slice < slices; ++slice, first.next(), second.next()) {
    before(slice);
    const int unit = slice * C::units;
    second.wait_empty();
    announce(second.full(), C::second_bytes);
    copy_own(second.at(), maps.second, second.full(), unit, 0);
    first.wait_empty();
    announce(first.full(), C::first_bytes);
#pragma unroll
    for (int panel = 0; panel < long_panels; ++panel)
#pragma unroll
      for (int part = 0; part < C::parts; ++part)
        copy_own(first.at() + panel * C::panel_bytes + part * C::units * panel_row, maps.first,
                 first.full(), panel * panel_columns, unit, part);
  }
  before(slices);
  if (!mapped) return;
#pragma unroll 1
  for (int line = 0; line < long_row; line += C::first_rows, first.next()) {
    first.wait_empty();
    announce(first.full(), C::first_bytes);
#pragma unroll
    for (int panel = 0; panel < long_panels; ++panel)
      copy_own(first.at() + panel * C::panel_bytes, maps.map, first.full(), panel * panel_columns,
               line);
  }
}

// The gradient of the slice's hidden units, started.
template <class C>
__device__ void multiply_dout(float (&d)[C::units / 8][4], uint64_t own,
                              const typename C::Second& second) {
  second.wait();
  wgmma_fence();
  const uint64_t columns = describe_half(second.at());
#pragma unroll
  for (int k = 0; k < long_row / 16; ++k) {
    const uint64_t a = moved(own, streamed_rows_bytes + k / 4 * streamed_panel + k % 4 * 32);
    const uint64_t b = moved(columns, k * 16 * C::units * 2);
    if (k == 0)
      multiply<1>(d, a, b);
    else
      multiply_add<1>(d, a, b);
  }
}

// The slice's products, started.
template <class C>
__device__ void multiply_rows_again(float (&pre)[C::first_rows / 8][4], uint64_t own,
                                    const typename C::First& first) {
  first.wait();
  wgmma_fence();
  const uint64_t lines = describe(first.at(), 0);
#pragma unroll
  for (int k = 0; k < long_row / 16; ++k) {
    const uint64_t a = moved(own, k / 4 * streamed_panel + k % 4 * 32);
    const uint64_t b = moved(lines, k / 4 * C::panel_bytes + k % 4 * 32);
    if (k == 0)
      multiply(pre, a, b);
    else
      multiply_add(pre, a, b);
  }
}

// From the products and dhidden: hidden units and gradients before the curve, as A operands.
template <class C>
__device__ void turn_back(Quad (&hidden)[C::units / 16], Quad (&units)[C::first_rows / 16],
                          const Backward& s, const float (&pre)[C::first_rows / 8][4],
                          const float (&d)[C::units / 8][4]) {
#pragma unroll
  for (int k = 0; k < C::units / 16; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float value[2], gate[2], up[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int block = 2 * k + i / 2, at = i % 2 * 2 + e;
        float derivative;
        const float curved =
            apply<C::curve>(s.in.first_factor * pre[block][at], s.in.slope, derivative);
        const float gradient = s.dhidden * d[block][at];
        value[e] = s.in.activation * curved;
        gate[e] = gradient * derivative;
        if constexpr (gated<C::curve>) {
          const float partner = s.in.first_factor * pre[C::units / 8 + block][at];
          value[e] *= partner;
          gate[e] *= partner;
          up[e] = gradient * curved;
        }
      }
      hidden[k][i] = pack2(value[0], value[1]);
      units[k][i] = pack2(gate[0], gate[1]);
      if constexpr (gated<C::curve>) units[C::units / 16 + k][i] = pack2(up[0], up[1]);
    }
}

// What a slice adds to the gradient du of a warpgroup's rows; `units` are read until the next one.
template <class C>
__device__ inline void run_slice(float (&du)[32][4], Quad (&units)[C::first_rows / 16],
                                 const Backward& s, Rings<C>& rings, uint64_t rows,
                                 const OwnRow& own, int slice, int group, int lane) {
  float pre[C::first_rows / 8][4], d[C::units / 8][4];
  Quad hidden[C::units / 16];
  multiply_dout<C>(d, rows, rings.second);
  multiply_rows_again<C>(pre, rows, rings.first);
  wgmma_commit();
  wgmma_wait<0>();
  pin(pre);
  pin(d);
  rings.second.done(lane);
  rings.second.next();
  if (slice == 0) let_second_begin(group);
  turn_back<C>(hidden, units, s, pre, d);
  const uint64_t lines = describe(rings.first.at(), C::panel_bytes);
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < C::first_rows / 16; ++k)
    multiply_add<1>(du, units[k], moved(lines, k * 16 * panel_row));
  wgmma_commit();
  write_slice<C>(hidden, units, own, s.in.inner, slice * C::units, lane);
  wgmma_wait<0>();
  pin(du);
  pin(units);
  rings.first.done(lane);
  rings.first.next();
}

// Where there is a next map its gradient goes through it first: of this the slices that are copied
// early may take the place when its sums are made, the rows when it is done with.
template <class C>
__device__ void bring_all(const Backward& s, const Rings<C>& rings, const BackMaps& maps,
                          uint32_t base, int begin) {
  const bool through = s.through.dout;
  const uint32_t barriers = base + C::through_at;
  if (through) {
    bring_through({base + C::first_at, barriers}, maps.through, s.through.out, begin);
    wait_barrier(barriers + ThroughSlices::added_at, 0);
  }
  bring_back<C>(rings, s.in.slices, maps, s.map.dmapped != nullptr, [&](int slice) {
    if (!through || slice != min(C::stages, s.in.slices)) return;
    wait_barrier(barriers + ThroughSlices::made_at, 0);
    announce(barriers + ThroughSlices::came_at, streamed_rows_bytes);
    copy_long_rows(base, maps.rows, barriers + ThroughSlices::came_at, begin);
  });
}

template <class C>
__device__ void work_back(const Backward& s, Rings<C> rings, unsigned char* unit, uint32_t base,
                          int begin) {
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int group = warp / 4, first_row = 16 * warp;
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.in.rows * long_row;
  float* const rstd = reinterpret_cast<float*>(unit + C::rstd_at);
  if (s.through.dout) {
    const uint32_t barriers = base + C::through_at;
    make_dout(s.through, {base + C::first_at, barriers}, barriers, unit, unit + C::first_at, rstd,
              first_row, begin, s.in.rows, lane);
    wait_barrier(barriers + ThroughSlices::came_at, 0);
    synchronise_workers();  // rows and their factors are other warps' now
  }
  normalise_long(unit, s.epsilon, rstd, s.unit ? s.unit + member : nullptr, begin, s.in.rows);
  show_copies();
  synchronise_workers();
  const uint64_t rows = describe(base + group * 64 * panel_row, 0);
  const OwnRow own = own_row<C>(s.in, s.hidden, s.units, begin + first_row, lane);
  float du[32][4] = {};
  Quad units[C::first_rows / 16] = {};
  begin_second(group);
  for (int slice = 0; slice < s.in.slices; ++slice)
    run_slice<C>(du, units, s, rings, rows, own, slice, group, lane);
  unsigned char* const dout = unit + streamed_rows_bytes;
  finish_long_rows(s.back, du, unit, dout, rstd, first_row, lane);
  __syncwarp();
  write_long_rows(dout, s.dx + member, first_row, begin, s.in.rows, lane);
  if (s.map.dmapped)
    map_back<C::first_rows>(s.map, rings.first, moved(rows, streamed_rows_bytes), unit, first_row,
                            begin, s.in.rows, lane);
}

template <class C>
__global__ void __launch_bounds__(streamed_threads, 1)
    backward(const Backward s, const __grid_constant__ BackMaps maps) {
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const Rings<C> rings{{base + C::first_at, base + C::barriers_at},
                       {base + C::second_at, base + C::barriers_at + C::First::barrier_bytes}};
  const uint32_t rows_came = base + C::barriers_at + 2 * C::First::barrier_bytes;
  const int begin = blockIdx.x * streamed_rows;
  if (threadIdx.x == streamed_workers) {
    rings.first.start();
    rings.second.start();
    start_barrier(rows_came, 1);
    start_through(base + C::first_at, base + C::through_at);
    show_barriers();
    if (s.through.dout) {
      bring_first_rows(s.through, maps.through, base, rows_came, begin);
    } else {
      announce(rows_came, 2 * streamed_rows_bytes);
      copy_long_rows(base, maps.rows, rows_came, begin);
      copy_long_rows(base + streamed_rows_bytes, maps.dout, rows_came, begin);
    }
  }
  __syncthreads();
  if (threadIdx.x >= streamed_workers) {
    keep_few_registers();
    if (threadIdx.x == streamed_workers) bring_all<C>(s, rings, maps, base, begin);
  } else {
    take_registers();
    wait_barrier(rows_came, 0);
    work_back<C>(s, rings, shared + (base - start), base, begin);
  }
}

template <Curve curve>
void launch(const MlpShape& shape, const SlicedMlpBackward& b, Stream stream) {
  using C = StreamedBackward<curve>;
  const MlpAroundGradient& block = *b.block;
  const Backward s{streamed_parts<C>(shape, b.first_factor, b.activation),
                   static_cast<bf16*>(b.dx),
                   static_cast<bf16*>(b.unit),
                   static_cast<bf16*>(b.units),
                   static_cast<bf16*>(b.hidden),
                   b.dhidden,
                   block.epsilon,
                   {block.skip * block.input_gradient * b.dinput, block.skip * block.out_skip},
                   {static_cast<bf16*>(block.dmapped), block.map_factor},
                   through_next_of(b.next)};
  BackMaps maps{streamed_maps<C>(shape, b.first, b.second), {}};
  maps.rows = rows_map(b.h, shape.members, shape.rows, shape.rows * long_row);
  if (b.next)
    maps.through = through_maps(shape, *b.next);
  else
    maps.dout = rows_map(b.dout, shape.members, shape.rows, shape.rows * long_row);
  if (block.dmapped)
    maps.map = square_map(block.map, shape.members, block.map_stride, C::first_rows);
  launch_streamed<C>(shape.members, shape.rows, backward<C>, s, maps, stream);
}

}  // namespace

void streamed_mlp_backward(const MlpShape& shape, const SlicedMlpBackward& b, Stream stream) {
  with_curve(shape.curve, [&](auto curve) { launch<decltype(curve)::value>(shape, b, stream); });
}

}  // namespace rung::cuda
