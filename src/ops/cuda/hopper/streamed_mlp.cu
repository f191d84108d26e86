// Forward: a warpgroup normalises its rows and adds up in registers what each slice of 64 hidden
// units gives, while the products of the next one run.
#include "ops/cuda/hopper/streamed_map.cuh"
#include "ops/cuda/hopper/streamed_mlp.cuh"
#include "ops/cuda/hopper/streamed_next.cuh"

namespace rung::cuda {
namespace {

template <Curve curve_>
struct StreamedForward {
  static constexpr Curve curve = curve_;
  static constexpr int parts = gated<curve> ? 2 : 1, units = 64;
  // A slice is `parts` stages of the first matrix's panels (gates, then their partners) and one of
  // the second's columns.
  static constexpr int first_rows = parts * units, panel_bytes = first_rows * panel_row;
  static constexpr int stages = 5, stage_bytes = long_row * units * 2;
  static constexpr int panels = stage_bytes / panel_bytes;
  static constexpr int barriers_at = streamed_rows_bytes + stages * stage_bytes;
  static constexpr int bytes = 1024 + barriers_at + 16 * stages + 16;
  using Ring = StageRing<stages, stage_bytes>;
};

struct Forward {
  StreamedParts in;
  bf16* out;
  float epsilon, second_factor, out_skip;
  MapBefore map;
  NextRows next;
};

// What one thread brings: the map and x where there is a map, the slices, then h for the outputs.
template <class C>
__device__ void bring(typename C::Ring ring, const Forward& s, const StreamedMaps& maps,
                      uint32_t written, int begin) {
  if (s.map.h) {
    bring_map(ring, maps.map);
    bring_rows_again(ring, maps.x, begin);
  }
  for (int slice = 0; slice < s.in.slices; ++slice) {
    const int unit = slice * C::units;
#pragma unroll
    for (int stage = 0; stage < C::parts; ++stage, ring.next()) {
      ring.wait_empty();
      announce(ring.full(), C::stage_bytes);
#pragma unroll
      for (int panel = 0; panel < C::panels; ++panel)
#pragma unroll
        for (int part = 0; part < C::parts; ++part)
          copy_own(ring.at() + panel * C::panel_bytes + part * C::units * panel_row, maps.first,
                   ring.full(), (stage * C::panels + panel) * panel_columns, unit, part);
    }
    ring.wait_empty();
    announce(ring.full(), C::stage_bytes);
    copy_own(ring.at(), maps.second, ring.full(), unit, 0);
    ring.next();
  }
  if (s.map.h) wait_barrier(written, 0);  // a short ffn's stages would be free before
  bring_rows_again(ring, maps.h, begin);
  if (s.next.y) bring_next(ring, maps.next, s.next.out);
}

// pre = the warpgroup's rows times the slice of the first matrix, whose stages come one by one.
template <class C>
__device__ void multiply_first(float (&pre)[C::first_rows / 8][4], uint64_t own,
                               typename C::Ring& ring) {
#pragma unroll
  for (int stage = 0; stage < C::parts; ++stage, ring.next()) {
    ring.wait();
    wgmma_fence();
    const uint64_t first = describe(ring.at(), 0);
#pragma unroll
    for (int k = 0; k < 4 * C::panels; ++k) {
      const uint64_t a = moved(own, (stage * C::panels + k / 4) * streamed_panel + k % 4 * 32);
      const uint64_t b = moved(first, k / 4 * C::panel_bytes + k % 4 * 32);
      if (stage == 0 && k == 0)
        multiply(pre, a, b);
      else
        multiply_add(pre, a, b);
    }
  }
}

// Hidden units of the products, as A operands.
template <class C>
__device__ void activate(Quad (&hidden)[C::units / 16], const StreamedParts& s,
                         const float (&pre)[C::first_rows / 8][4]) {
#pragma unroll
  for (int k = 0; k < C::units / 16; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float value[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int block = 2 * k + i / 2, at = i % 2 * 2 + e;
        float derivative;
        value[e] =
            s.activation * apply<C::curve>(s.first_factor * pre[block][at], s.slope, derivative);
        if constexpr (gated<C::curve>) value[e] *= s.first_factor * pre[C::units / 8 + block][at];
      }
      hidden[k][i] = pack2(value[0], value[1]);
    }
}

// The outputs of a warp's 16 rows, from the sums and from h, which has come once more; then what
// follows them.
template <class C>
__device__ void finish_outputs(const Forward& s, const float (&sum)[32][4], typename C::Ring& ring,
                               unsigned char* rows, uint32_t base, int row, int begin, int lane) {
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.in.rows * long_row;
  if (s.next.y) synchronise_group(row / 64);  // nobody reads the norm's rows any more
#pragma unroll
  for (int half = 0; half < 2; ++half, ring.next()) {
    ring.wait();
    unsigned char* const panels = rows + (ring.at() - base);
    add_half(sum, s.second_factor, s.out_skip, panels, 16 * half, row, lane);
    __syncwarp();
#pragma unroll 4
    for (int i = lane; i < 16 * 16; i += 32) {
      const int at = row + i / 16, piece = i % 16;
      const uint4 value =
          *reinterpret_cast<const uint4*>(panels + piece_at(streamed_rows, at, piece));
      if (s.next.y)
        *reinterpret_cast<uint4*>(rows + piece_at(streamed_rows, at, 16 * half + piece)) = value;
      if (begin + at < s.in.rows)
        store16(
            s.out + member + static_cast<int64_t>(begin + at) * long_row + 128 * half + 8 * piece,
            value);
    }
    if (!s.next.y) continue;
    show_copies();  // the map may be copied over what was written here
    __syncwarp();
    ring.done(lane);
  }
  if (s.next.y) multiply_next_rows(s.next, ring, rows, base, row, begin, s.in.rows, lane);
}

template <class C>
__device__ void work(const Forward& s, typename C::Ring ring, unsigned char* rows, uint32_t base,
                     uint32_t written, int begin) {
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int group = warp / 4, row = 16 * warp;
  if (s.map.h) {
    map_rows(s.map, ring, rows, base, written, row, begin, s.in.rows, lane);
    synchronise_workers();
  }
  normalise_long(rows, s.epsilon, nullptr, nullptr, begin, s.in.rows);
  show_copies();
  synchronise_workers();
  const uint64_t own = describe(base + group * 64 * panel_row, 0);
  float sum[32][4] = {};
  Quad hidden[C::units / 16] = {};
  begin_second(group);
  typename C::Ring before = ring;  // the stage of the last slice that is still read
  for (int slice = 0; slice < s.in.slices; ++slice) {
    float pre[C::first_rows / 8][4];
    typename C::Ring read = ring;
    multiply_first<C>(pre, own, ring);
    wgmma_commit();
    wgmma_wait<0>();
    pin(pre);
    pin(sum);
    pin(hidden);
    if (slice == 0)
      let_second_begin(group);
    else
      before.done(lane);
#pragma unroll
    for (int stage = 0; stage < C::parts; ++stage, read.next()) read.done(lane);
    activate<C>(hidden, s.in, pre);
    ring.wait();
    const uint64_t columns = describe(ring.at(), 0);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < C::units / 16; ++k) multiply_add<0>(sum, hidden[k], moved(columns, k * 32));
    wgmma_commit();
    before = ring;
    ring.next();
  }
  wgmma_wait<0>();
  pin(sum);
  pin(hidden);
  before.done(lane);
  finish_outputs<C>(s, sum, ring, rows, base, row, begin, lane);
}
template <class C>
__global__ void __launch_bounds__(streamed_threads, 1)
    forward(const Forward s, const __grid_constant__ StreamedMaps maps) {
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const typename C::Ring ring{base + streamed_rows_bytes, base + C::barriers_at};
  const uint32_t rows_came = base + C::barriers_at + C::Ring::barrier_bytes;
  const uint32_t written = rows_came + 8;
  const int begin = blockIdx.x * streamed_rows;
  if (threadIdx.x == streamed_workers) {
    ring.start();
    start_barrier(rows_came, 1);
    start_barrier(written, streamed_users);
    show_barriers();
    announce(rows_came, streamed_rows_bytes);
    copy_long_rows(base, maps.rows, rows_came, begin);
  }
  __syncthreads();
  if (threadIdx.x >= streamed_workers) {
    keep_few_registers();
    if (threadIdx.x == streamed_workers) bring<C>(ring, s, maps, written, begin);
  } else {
    take_registers();
    wait_barrier(rows_came, 0);
    work<C>(s, ring, shared + (base - start), base, written, begin);
  }
}

template <Curve curve>
void launch(const MlpShape& shape, const MlpForward& f, Stream stream) {
  using C = StreamedForward<curve>;
  const MlpAround& block = *f.block;
  const Forward s{streamed_parts<C>(shape, f.first_factor, f.activation),
                  static_cast<bf16*>(f.out),
                  block.epsilon,
                  f.second_factor,
                  block.out_skip,
                  {static_cast<bf16*>(block.h), block.skip, block.branch * block.map_factor},
                  next_rows_of(block.next)};
  StreamedMaps maps = streamed_maps<C>(shape, f.first, f.second);
  const auto rows = [&](const void* which) {
    return rows_map(which, shape.members, shape.rows, shape.rows * long_row);
  };
  maps.rows = rows(block.h ? block.f : f.x);
  maps.h = rows(block.h ? block.h : f.x);
  if (block.h) {
    maps.x = rows(f.x);
    maps.map = square_map(block.map, shape.members, block.map_stride, long_row);
  }
  if (block.next && block.next->map) maps.next = next_rows_map(shape.members, *block.next);
  launch_streamed<C>(shape.members, shape.rows, forward<C>, s, maps, stream);
}

}  // namespace

void streamed_mlp_forward(const MlpShape& shape, const MlpForward& f, Stream stream) {
  with_curve(shape.curve, [&](auto curve) { launch<decltype(curve)::value>(shape, f, stream); });
}

}  // namespace rung::cuda
