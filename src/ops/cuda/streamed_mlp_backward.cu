// Backward: a warpgroup makes hidden units of its 64 rows again, 32 at a time, and adds up the
// gradient of its rows in registers; what the matrices' gradients are made of goes to global
// memory.
#include "ops/cuda/streamed_mlp.cuh"
#include "ops/cuda/wide_rows.cuh"

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
  static constexpr int rstd_at = second_at + stages * second_bytes;
  static constexpr int barriers_at = rstd_at + streamed_rows * 4;
  static constexpr int bytes = 1024 + barriers_at + 32 * stages + 8;
};

struct Backward {
  StreamedParts in;
  bf16 *dx, *unit, *units, *hidden;
  float dhidden, epsilon;
  LongBack back;
};

template <class C>
struct Rings {
  typename C::First first;
  typename C::Second second;
};

template <class C>
__device__ void bring_back(Rings<C> rings, int slices, const StreamedMaps& maps) {
  auto& [first, second] = rings;
  for (int slice = 0; slice < slices; ++slice, first.next(), second.next()) {
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
}

// The gradient of the slice's hidden units and its products, started.
template <class C>
__device__ void multiply_both(float (&d)[C::units / 8][4], float (&pre)[C::first_rows / 8][4],
                              uint64_t own, const Rings<C>& rings) {
  rings.second.wait();
  wgmma_fence();
  const uint64_t columns = describe_half(rings.second.at());
#pragma unroll
  for (int k = 0; k < long_row / 16; ++k) {
    const uint64_t a = moved(own, streamed_rows_bytes + k / 4 * streamed_panel + k % 4 * 32);
    const uint64_t b = moved(columns, k * 16 * C::units * 2);
    if (k == 0)
      multiply<1>(d, a, b);
    else
      multiply_add<1>(d, a, b);
  }
  rings.first.wait();
  wgmma_fence();
  const uint64_t first = describe(rings.first.at(), 0);
#pragma unroll
  for (int k = 0; k < long_row / 16; ++k) {
    const uint64_t a = moved(own, k / 4 * streamed_panel + k % 4 * 32);
    const uint64_t b = moved(first, k / 4 * C::panel_bytes + k % 4 * 32);
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

// A operands of a warp's 16 rows (from `row` on) and 32 columns, of which `columns` are there, to
// rows `stride` apart.
__device__ inline void write_half(const Quad* from, bf16* to, int64_t stride, int row, int end,
                                  int columns, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    Quad v;
#pragma unroll
    for (int n = 0; n < 4; ++n) v[n] = from[n / 2][r + n % 2 * 2];
    gather_blocks(v, lane);
    const int at = row + lane / 4 + 8 * r, column = 8 * (lane % 4);
    if (at < end && column < columns)
      *reinterpret_cast<uint4*>(to + at * stride + column) = make_uint4(v[0], v[1], v[2], v[3]);
  }
}

template <class C>
__device__ void work_back(const Backward& s, Rings<C> rings, unsigned char* unit, uint32_t base,
                          int begin) {
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int group = warp / 4, first_row = 16 * warp, inner = s.in.inner;
  const int64_t rows = static_cast<int64_t>(blockIdx.y) * s.in.rows, member = rows * long_row;
  float* const rstd = reinterpret_cast<float*>(unit + C::rstd_at);
  normalise_long(unit, s.epsilon, rstd, s.unit ? s.unit + member : nullptr, begin, s.in.rows);
  show_copies();
  synchronise_workers();
  const uint64_t own = describe(base + group * 64 * panel_row, 0);
  float du[32][4] = {};
  Quad units[C::first_rows / 16] = {}, hidden[C::units / 16];
  begin_second(group);
  for (int slice = 0; slice < s.in.slices; ++slice) {
    float pre[C::first_rows / 8][4], d[C::units / 8][4];
    multiply_both<C>(d, pre, own, rings);
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
    const int unit_at = slice * C::units, left = inner - unit_at, row = begin + first_row;
    if (s.hidden)
      write_half(hidden, s.hidden + rows * inner + unit_at, inner, row, s.in.rows, left, lane);
    if (s.units)
#pragma unroll
      for (int part = 0; part < C::parts; ++part)
        write_half(units + C::units / 16 * part,
                   s.units + (rows * C::parts + part) * inner + unit_at, C::parts * inner, row,
                   s.in.rows, left, lane);
    wgmma_wait<0>();
    pin(du);
    pin(units);
    rings.first.done(lane);
    rings.first.next();
  }
  unsigned char* const dout = unit + streamed_rows_bytes;
  finish_long_rows(s.back, du, unit, dout, rstd, first_row, lane);
  __syncwarp();
  write_long_rows(dout, s.dx + member, first_row, begin, s.in.rows, lane);
}

template <class C>
__global__ void __launch_bounds__(streamed_threads, 1)
    backward(const Backward s, const __grid_constant__ StreamedMaps maps) {
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
    show_barriers();
    announce(rows_came, 2 * streamed_rows_bytes);
    copy_long_rows(base, maps.rows, rows_came, begin);
    copy_long_rows(base + streamed_rows_bytes, maps.dout, rows_came, begin);
  }
  __syncthreads();
  if (threadIdx.x >= streamed_workers) {
    keep_few_registers();
    if (threadIdx.x == streamed_workers) bring_back<C>(rings, s.in.slices, maps);
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
                   {block.skip * block.input_gradient * b.dinput, block.skip * block.out_skip}};
  StreamedMaps maps = streamed_maps<C>(shape, b.first, b.second);
  maps.rows = rows_map(b.h, shape.members, shape.rows, shape.rows * long_row);
  maps.dout = rows_map(b.dout, shape.members, shape.rows, shape.rows * long_row);
  launch_streamed<C>(shape.members, shape.rows, backward<C>, s, maps, stream);
}

}  // namespace

void streamed_mlp_backward(const MlpShape& shape, const SlicedMlpBackward& b, Stream stream) {
  with_curve(shape.curve, [&](auto curve) { launch<decltype(curve)::value>(shape, b, stream); });
}

}  // namespace rung::cuda
