// Backward: a warpgroup makes hidden units of its 64 rows again, slice by slice, and adds up the
// gradient of its rows; what the matrices' gradients are made of goes to global memory.
#include "ops/cuda/hopper/sliced_finish.cuh"
#include "ops/cuda/hopper/sliced_next_back.cuh"

namespace rung::cuda {
namespace {

struct Backward {
  SlicedParts in;
  const bf16 *h, *dout;
  bf16 *unit, *units, *hidden;
  float dunits, epsilon;  // dunits: on gradients of hidden units, of gated curves with `input`
  StreamBack stream;
  MapBack map;
  NextBackParts next;
};

// From the products and dhidden: hidden units and gradients before the curve, as A operands.
template <class C>
__device__ void turn_back(Quad (&hidden)[C::units / 16], Quad (&units)[C::first_rows / 16],
                          const Backward& s, const float (&pre)[C::first_rows / 8][4],
                          const float (&d)[C::units / 8][4]) {
  constexpr Curve curve = C::curve;
#pragma unroll
  for (int k = 0; k < C::units / 16; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float value[2], gate[2], up[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int block = 2 * k + i / 2, at = i % 2 * 2 + e;
        float derivative;
        const float curved = curve_of<curve>(pre[block][at], s.in.factors, derivative);
        const float gradient = s.dunits * d[block][at];
        value[e] = s.in.factors.hidden * curved;
        gate[e] = gradient * derivative;
        if constexpr (gated<curve>) {
          const float partner = pre[C::units / 8 + block][at];
          value[e] *= partner;
          gate[e] *= partner;
          up[e] = gradient * curved;
        }
      }
      hidden[k][i] = pack2(value[0], value[1]);
      units[k][i] = pack2(gate[0], gate[1]);
      if constexpr (gated<curve>) units[C::units / 16 + k][i] = pack2(up[0], up[1]);
    }
}

template <class C>
__global__ void __launch_bounds__(C::threads, 1)
    backward(Backward s, const __grid_constant__ MappedSlices maps,
             const __grid_constant__ NextBackMaps next) {
  constexpr bool split = C::split;
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const Ring<C> ring{base + C::ring_at, base + C::barriers_at};
  unsigned char *const unit = shared + (base - start), *const dout = unit + C::rows_bytes;
  float* const rstd = reinterpret_cast<float*>(unit + C::rstd_at);
  const Share<C> share;
  const int begin = share.begin;
  const int64_t rows = static_cast<int64_t>(blockIdx.y) * s.in.rows, member = rows * wide_row;
  // The next map comes before the slices, the map behind them.
  const int before = split ? s.next.slices : 0, slices = s.in.slices, behind = before + slices;
  const int all = behind + (s.map.to ? C::map_stages : 0);
  const auto load = [&](int i) {
    if constexpr (split)
      if (i < before) return load_next_back<C>(ring, next, begin, i);
    if (i < behind) return load_slice<C>(ring, maps.slices, share, i - before, i);
    announce(ring.full(i), C::map_bytes / C::map_stages);
#pragma unroll
    for (int panel = 0; panel < 2 / C::map_stages; ++panel)
      load_map_panel(ring.slice(i) + panel * wide_row * panel_row, maps.map, ring.full(i),
                     i - behind + panel);
  };
  if (threadIdx.x == 0) {
    ring.start();
    show_barriers();
    for (int i = 0; i < min(C::stages, all); ++i) load(i);
  }
  const BlockRows own_rows{base, unit, dout, rstd, begin, s.in.rows, member};
  begin_rows<C>(s.next, s.h, s.dout, ring, own_rows, all, load);
  normalise<C>(unit, s.epsilon, rstd, s.unit ? s.unit + member : nullptr, begin, s.in.rows);
  show_copies();
  __syncthreads();
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int group = warp / 4, first_row = 16 * (split ? warp % 4 : warp);
  unsigned char* const stage = unit + C::staged_at + warp * staged_bytes;
  const uint64_t own = describe(base + first_row / 64 * 64 * panel_row, 0);
  const uint64_t own_dout = moved(own, C::rows_bytes);
  float du[16][4] = {};
  Quad units[C::first_rows / 16] = {}, hidden[C::units / 16];
  begin_later<C>(group);
#pragma unroll 1
  for (int slice = split ? group : 0; slice < slices; slice += C::step) {
    // From one lane, so that the compiler knows it to be the same for all: descriptors cost less.
    const int place = before + slice;  // in the ring
    const uint32_t at = __shfl_sync(0xffffffffu, ring.slice(place), 0);
    ring.wait(place);
    const uint64_t columns = describe_second<C>(at);
    float pre[C::first_rows / 8][4], d[C::units / 8][4];
    wgmma_fence();
    start_rows<C, C::first_rows>(pre, own, describe(at, 0));
#pragma unroll
    for (int k = 0; k < wide_row / 16; ++k) {
      const uint64_t a = moved(own_dout, k / 4 * C::own * panel_row + k % 4 * 32);
      const uint64_t b = moved(columns, k * 16 * C::units * 2);
      if (k == 0)
        multiply<1>(d, a, b);
      else
        multiply_add<1>(d, a, b);
    }
    wgmma_commit();
    wgmma_wait<0>();
    pin(pre);
    pin(d);
    if (slice == 0) let_begin<C>(group);
    turn_back<C>(hidden, units, s, pre, d);
    const uint64_t lines = describe(at, C::first_rows * panel_row);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < C::first_rows / 16; ++k)
      multiply_add<1>(du, units[k], moved(lines, k * 16 * panel_row));
    wgmma_commit();
    const int left = s.in.inner - slice * C::units, row = begin + first_row;
    if (s.hidden)
      write_staged<C::units / 32>(hidden, s.hidden + rows * s.in.inner + slice * C::units,
                                  s.in.inner, row, s.in.rows, left, lane, stage);
    if (s.units)
#pragma unroll
      for (int part = 0; part < C::parts; ++part)
        write_staged<C::units / 32>(
            units + C::units / 16 * part,
            s.units + (rows * C::parts + part) * s.in.inner + slice * C::units,
            C::parts * s.in.inner, row, s.in.rows, left, lane, stage);
    // Left running, the compiler would make the products wait for each other.
    wgmma_wait<0>();
    pin(du);
    pin(units);
    ring.done(place, lane);
    if (threadIdx.x % 128 == 0 && (split || group == 0)) ring.replace(place - C::lag, all, load);
    __syncwarp();
  }
  if constexpr (split)
    finish_shared<C>(s.stream, s.map, ring, behind, du, own_rows, group, first_row, lane);
  else
    finish_own<C>(s.stream, s.map, ring, behind, du, own_rows, group, first_row, lane);
}

template <class C>
void launch(const MlpShape& shape, const SlicedMlpBackward& b, Backward s, Stream stream) {
  s.in = sliced_parts<C>(shape, b.first_factor, b.activation);
  s.dunits = b.dhidden * (gated<C::curve> ? b.first_factor : 1.0f);
  const auto kernel = backward<C>;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  const dim3 grid(blocks_for(shape.rows, C::own), static_cast<unsigned>(shape.members));
  NextBackMaps next{};
  if constexpr (C::split)
    if (b.next && b.next->map) next = next_back_maps<C>(shape, *b.next);
  kernel<<<grid, C::threads, C::bytes, stream>>>(
      s, mapped_slices<C>(shape, b.first, b.second, b.block->map, b.block->map_stride), next);
}

}  // namespace

void sliced_mlp_backward(const MlpShape& shape, const SlicedMlpBackward& b, Stream stream) {
  const MlpAroundGradient& block = *b.block;
  const Backward s{{},
                   static_cast<const bf16*>(b.h),
                   static_cast<const bf16*>(b.dout),
                   static_cast<bf16*>(b.unit),
                   static_cast<bf16*>(b.units),
                   static_cast<bf16*>(b.hidden),
                   0.0f,
                   block.epsilon,
                   {static_cast<bf16*>(b.dx), static_cast<bf16*>(block.df), b.dinput,
                    block.input_gradient, block.out_skip, block.skip, block.branch},
                   {static_cast<bf16*>(block.dmapped), block.map_factor},
                   next_back_parts(b.next)};
  with_form<Form::split>(shape, [&](auto tiles) { launch<decltype(tiles)>(shape, b, s, stream); });
  check_launch();
}

}  // namespace rung::cuda
