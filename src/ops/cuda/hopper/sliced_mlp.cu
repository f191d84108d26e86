// Forward: a warpgroup normalises its 64 rows, and adds up what each slice of hidden units gives
// while the products of the next one run.
#include "ops/cuda/hopper/sliced_join.cuh"

namespace rung::cuda {
namespace {

struct Forward {
  SlicedParts in;
  const bf16 *x, *f;
  bf16 *h, *out;
  float skip, branch, epsilon, second_factor, out_skip;
  float map_factor;
  bool mapped;  // f is multiplied by a map first
  NextMapParts next;
};

// Rows of f in shared memory become their products with the map in two panels at `map`: of 64 rows
// all outputs, or, of split slices, half of them by each of the first two warpgroups.
template <class C>
__device__ void apply_map(unsigned char* f, uint32_t rows, uint32_t map, float factor, int group,
                          int first_row, int lane) {
  constexpr int blocks = C::split ? 8 : 16;
  const int first_block = C::split ? 8 * group : 0;
  if (C::split && group > 1) {
    __syncthreads();
    __syncthreads();
    return;
  }
  const uint64_t own = describe(rows + first_row / 64 * 64 * panel_row, 0);
  const uint64_t outputs = describe(map + 8 * first_block * panel_row, 0);
  float sum[blocks][4];
  multiply_rows<C, wide_row>(sum, own, outputs);
  __syncthreads();  // f and the map have been read
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int n = 0; n < blocks; ++n)
      *reinterpret_cast<uint32_t*>(
          f + piece_at(C::own, first_row + lane / 4 + 8 * r, first_block + n) + lane % 4 * 4) =
          pack2(factor * sum[n][2 * r], factor * sum[n][2 * r + 1]);
  __syncthreads();
}

// x and f (if any) in shared memory become norm(h) and h; h goes to global memory where it is new,
// up to row `end`.
template <class C>
__device__ void prepare(const Forward& s, unsigned char* x, unsigned char* f, bf16* h, int begin,
                        int end) {
  constexpr int pieces = wide_row / 8;
#pragma unroll 2
  for (int i = threadIdx.x; i < C::own * pieces; i += C::threads) {
    const int row = i / pieces, piece = i % pieces;
    const uint32_t at = piece_at(C::own, row, piece);
    bf16 *const own = reinterpret_cast<bf16*>(x + at), *const other =
                                                           reinterpret_cast<bf16*>(f + at);
    float value[8], squares = 0.0f;
    load8(own, value);
    if (s.f) {
      float added[8];
      load8(other, added);
#pragma unroll
      for (int k = 0; k < 8; ++k) value[k] = rounded<bf16>(s.skip * value[k] + s.branch * added[k]);
    }
    store8(other, value);
    if (s.f && begin + row < end)
      store16(h + static_cast<int64_t>(begin + row) * wide_row + 8 * piece,
              *reinterpret_cast<const uint4*>(other));
#pragma unroll
    for (int k = 0; k < 8; ++k) squares += value[k] * value[k];
    const float scale = rsqrtf(group_sum<pieces>(squares) / wide_row + s.epsilon);
#pragma unroll
    for (int k = 0; k < 8; ++k) value[k] *= scale;
    store8(own, value);
  }
}

// Hidden units of the products, as A operands.
template <class C>
__device__ void activate(Quad (&hidden)[C::units / 16], const CurveFactors& s,
                         const float (&pre)[C::first_rows / 8][4]) {
  make_a(hidden, [&](int block, int at) {
    float derivative;
    float value = s.hidden * curve_of<C::curve>(pre[block][at], s, derivative);
    if constexpr (gated<C::curve>) value *= pre[C::units / 8 + block][at];
    return value;
  });
}

// Outputs in place of h.
template <class C>
__device__ void add_stream(const Forward& s, const float (&sum)[16][4], unsigned char* h, int first,
                           int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int n = 0; n < 16; ++n) {
      const uint32_t at = piece_at(C::own, first + lane / 4 + 8 * r, n) + lane % 4 * 4;
      uint32_t& pair = *reinterpret_cast<uint32_t*>(h + at);
      const float low = __uint_as_float(pair << 16), high = __uint_as_float(pair & 0xffff0000u);
      pair = pack2(s.second_factor * sum[n][2 * r] + s.out_skip * low,
                   s.second_factor * sum[n][2 * r + 1] + s.out_skip * high);
    }
}

template <class C>
__global__ void __launch_bounds__(C::threads, 1)
    forward(Forward s, const __grid_constant__ MappedSlices maps) {
  constexpr bool split = C::split;
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const Ring<C> ring{base + C::ring_at, base + C::barriers_at};
  unsigned char *const x = shared + (base - start), *const h = x + C::rows_bytes;
  const Share<C> share;
  const int begin = share.begin, slices = share.slices(s.in.slices);
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.in.rows * wide_row;
  const auto load = [&](int slice) { load_slice<C>(ring, maps.slices, share, slice, slice); };
  // The map comes first, in the place of the ring's last slices or its own.
  constexpr int before_map = C::stages - C::map_stages;
  const uint32_t map = C::spread ? base + C::map_at : ring.slice(before_map),
                 map_came = ring.barriers + ring.barrier_bytes;
  if (threadIdx.x == 0) {
    ring.start();
    start_barrier(map_came, 1);
    if (C::spread) start_barrier(map_came + 8, 1);
    show_barriers();
    if (s.mapped) {
      announce(map_came, C::map_bytes);
#pragma unroll
      for (int panel = 0; panel < 2; ++panel)
        load_map_panel(map + panel * wide_row * panel_row, maps.map, map_came, panel);
    }
    for (int i = 0; i < min(s.mapped ? before_map : C::stages, slices); ++i) load(i);
  }
  load_own<C>(base, s.x + member, begin, s.in.rows);
  if (s.f) load_own<C>(base + C::rows_bytes, s.f + member, begin, s.in.rows);
  commit_copies();
  wait_copies<0>();
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int group = warp / 4, first_row = 16 * (split ? warp % 4 : warp);
  if (s.mapped) {
    show_copies();
    __syncthreads();
    wait_barrier(map_came, 0);
    apply_map<C>(h, base + C::rows_bytes, map, s.map_factor, group, first_row, lane);
    if (threadIdx.x == 0)
      for (int i = before_map; i < min(C::stages, slices); ++i) load(i);
  } else {
    __syncthreads();
  }
  prepare<C>(s, x, h, s.h + member, begin, share.block == 0 ? s.in.rows : 0);
  show_copies();
  __syncthreads();
  if constexpr (C::spread) arrive_at_blocks();  // the map's place may be written to
  const uint64_t own = describe(base + first_row / 64 * 64 * panel_row, 0);
  float sum[16][4] = {};
  Quad hidden[C::units / 16] = {};
  for (int slice = split ? group : 0; slice < slices; slice += C::step) {
    const uint32_t at = ring.slice(slice);
    ring.wait(slice);
    if (slice == 0) begin_later<C>(group);
    float pre[C::first_rows / 8][4];
    wgmma_fence();
    start_rows<C, C::first_rows>(pre, own, describe(at, 0));
    wgmma_commit();
    wgmma_wait<0>();
    pin(pre);
    pin(sum);
    pin(hidden);
    if (slice == 0) let_begin<C>(group);
    if (!split && slice > 0) ring.done(slice - 1, lane);
    activate<C>(hidden, s.in.factors, pre);
    const uint64_t columns = describe_second<C>(at);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < C::units / 16; ++k) multiply_add<0>(sum, hidden[k], moved(columns, k * 32));
    wgmma_commit();
    if constexpr (split) {  // left running, the compiler would make the products wait for each
                            // other
      wgmma_wait<0>();
      pin(sum);
      pin(hidden);
      ring.done(slice, lane);
    }
    if (threadIdx.x % 128 == 0 && (split || group == 0)) ring.replace(slice - C::lag, slices, load);
    __syncwarp();
  }
  wgmma_wait<0>();
  pin(sum);
  pin(hidden);
  if constexpr (C::spread) {
    __syncthreads();  // no slice is read any more
    const uint32_t next_came = map_came + 8;
    const bool next = s.next.y && !s.next.alone;
    if (next && threadIdx.x == 0) load_next<C>(base, maps.next, next_came, share, s.next.out);
    const JoinPlaces<C> places{x};
    put_sums(places.of(group), sum, first_row, lane);
    __syncthreads();
    join_blocks<C>({s.out + member, s.second_factor, s.out_skip, s.next.epsilon,
                    s.next.alone ? s.next.y + member : nullptr, next},
                   places, h, x, share.block, begin, s.in.rows);
    if (!next) return;
    show_all_writes();
    synchronise_blocks();
    multiply_next<C>(s.next, base, base, next_came, share,
                     static_cast<int64_t>(blockIdx.y) * s.in.rows, s.in.rows, warp, lane);
  } else {
    if (!join_groups<C>(sum, x + C::sums_at, group)) return;
    add_stream<C>(s, sum, h, first_row, lane);
    __syncwarp();
    write_own<C>(h, s.out + member, first_row, begin, s.in.rows, lane);
  }
}

template <class C>
void launch(const MlpShape& shape, const MlpForward& f, Forward s, Stream stream) {
  s.in = sliced_parts<C>(shape, f.first_factor, f.activation);
  const auto kernel = forward<C>;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  const dim3 grid(C::blocks * blocks_for(shape.rows, C::own), static_cast<unsigned>(shape.members));
  MappedSlices maps = mapped_slices<C>(shape, f.first, f.second, f.block->map, f.block->map_stride);
  if constexpr (C::spread) {
    if (const NextMap* const next = f.block->next; next && next->map)
      maps.next = next_map_of(shape, *next);
    launch_clusters(kernel, grid, C::threads, C::bytes, C::blocks, stream, s, maps);
  } else {
    kernel<<<grid, C::threads, C::bytes, stream>>>(s, maps);
  }
}

NextMapParts next_parts(const NextMap* next) {
  if (!next) return {};
  return {static_cast<bf16*>(next->y), !next->map, static_cast<int>(next->out), next->epsilon,
          next->factor};
}

}  // namespace

bool sliced_mlp_takes_next(const MlpShape& shape, int64_t out) {
  bool takes = false;
  with_curve(shape.curve, [&](auto curve) {
    takes = spreads(shape.members, shape.rows) && out % 8 == 0 &&
            out <= widest_next<Sliced<decltype(curve)::value, Form::spread>>;
  });
  return takes;
}

void sliced_mlp_forward(const MlpShape& shape, const MlpForward& f, Stream stream) {
  const MlpAround& block = *f.block;
  const Forward s{{},
                  static_cast<const bf16*>(f.x),
                  static_cast<const bf16*>(block.f),
                  static_cast<bf16*>(block.h),
                  static_cast<bf16*>(f.out),
                  block.skip,
                  block.branch,
                  block.epsilon,
                  f.second_factor,
                  block.out_skip,
                  block.map_factor,
                  block.map != nullptr,
                  next_parts(block.next)};
  with_form<Form::spread>(shape, [&](auto tiles) { launch<decltype(tiles)>(shape, f, s, stream); });
  check_launch();
}

}  // namespace rung::cuda
