// A warpgroup's own ring of two: while it takes 64 rows through the matrices, the next ones come
// and the last ones leave by bulk copies. Hidden units, 32 at a time, exist in registers only.
#include "ops/cuda/hopper/resident_mlp.cuh"

namespace rung::cuda {
namespace {

// The warp's rows become h in x's place and its RMSNorm in `a`; `sum`: products with the map.
__device__ inline void normalise(Quad (&a)[4], const Forward& s, const float (&sum)[8][4],
                                 unsigned char* x, const Pairs& pairs) {
  float squares[2] = {};
#pragma unroll
  for (int k = 0; k < 4; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      uint32_t* const own = reinterpret_cast<uint32_t*>(x + pairs.at(k, i));
      a[k][i] = *own;
      float2 h = unpack2(a[k][i]);
      if (s.streamed) {
        float2 f = make_float2(sum[2 * k + i / 2][i % 2 * 2], sum[2 * k + i / 2][i % 2 * 2 + 1]);
        if (!s.mapped) f = unpack2(*(own + tile_bytes / 4));
        a[k][i] = *own = pack2(s.skip * h.x + s.branch * f.x, s.skip * h.y + s.branch * f.y);
        h = unpack2(a[k][i]);
      }
      squares[i % 2] += h.x * h.x + h.y * h.y;
    }
  const float scale[2] = {rsqrtf(group_sum<4>(squares[0]) / resident_width + s.epsilon),
                          rsqrtf(group_sum<4>(squares[1]) / resident_width + s.epsilon)};
#pragma unroll
  for (int k = 0; k < 4; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 h = unpack2(a[k][i]);
      a[k][i] = pack2(h.x * scale[i % 2], h.y * scale[i % 2]);
    }
}

// Hidden units of the products but for their constant factor, as A operands.
template <class C>
__device__ inline void activate(Quad (&hidden)[2], const CurveFactors& s, const float (&gate)[4][4],
                                const float (&up)[4][4]) {
  make_a(hidden, [&](int block, int at) {
    float derivative;
    float value = curve_of<C::curve>(gate[block][at], s, derivative);
    if constexpr (gated<C::curve>) value *= up[block][at];
    return value;
  });
}

// The outputs take f's place.
__device__ inline void put_outputs(const Forward& s, const float (&sum)[8][4], unsigned char* h,
                                   const Pairs& pairs) {
#pragma unroll
  for (int k = 0; k < 4; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      uint32_t* const own = reinterpret_cast<uint32_t*>(h + pairs.at(k, i));
      const float2 other = unpack2(*own);
      const float(&y)[4] = sum[2 * k + i / 2];
      *(own + tile_bytes / 4) = pack2(s.second_factor * y[i % 2 * 2] + s.out_skip * other.x,
                                      s.second_factor * y[i % 2 * 2 + 1] + s.out_skip * other.y);
    }
}

// sum = 64 rows at `rows` times the map's transpose.
__device__ inline void multiply_map(float (&sum)[8][4], uint32_t rows, uint32_t map) {
  const uint64_t a = describe(rows, 0), b = describe(map, 0);
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < 4; ++k)
    if (k == 0)
      multiply(sum, moved(a, k * 32), moved(b, k * 32));
    else
      multiply_add(sum, moved(a, k * 32), moved(b, k * 32));
  wgmma_commit();
  wgmma_wait<0>();
  pin(sum);
}

// Starts the products of the rows with 32 gates and, `to_partners` bytes behind them, with theirs.
template <class C>
__device__ inline void start_units(float (&gate)[4][4], float (&up)[4][4], const Quad (&a)[4],
                                   uint64_t gates, int to_partners) {
  multiply<0>(gate, a[0], gates);
#pragma unroll
  for (int k = 1; k < 4; ++k) multiply_add<0>(gate, a[k], moved(gates, k * 32));
  if constexpr (gated<C::curve>) {
    const uint64_t ups = moved(gates, to_partners);
    multiply<0>(up, a[0], ups);
#pragma unroll
    for (int k = 1; k < 4; ++k) multiply_add<0>(up, a[k], moved(ups, k * 32));
  }
}

// sum = what all hidden units of the rows `a` give; `meanwhile` is run once, behind the first
// products.
template <class C, class F>
__device__ inline void pass_units(float (&sum)[8][4], Quad (&a)[4], const Forward& s,
                                  uint64_t gates, uint64_t columns, const F& meanwhile) {
  constexpr int slices = panel_columns / C::units;  // of a panel of the second matrix
  float gate[4][4], up[4][4] = {};
  Quad hidden[2] = {};
#pragma unroll
  for (int n = 0; n < 8; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) sum[n][e] = 0.0f;
#pragma unroll 1
  for (int slice = 0; slice < s.in.slices; ++slice) {
    wgmma_fence();
    start_units<C>(gate, up, a, gates, s.in.slices * C::units * panel_row);
    wgmma_commit();
    wgmma_wait<0>();
    pin(gate);
    pin(up);
    pin(a);
    pin(sum);
    pin(hidden);
    if (slice == 0) meanwhile();
    __syncwarp();
    activate<C>(hidden, s.in.factors, gate, up);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 2; ++k) multiply_add<0>(sum, hidden[k], moved(columns, k * 32));
    wgmma_commit();
    gates = moved(gates, C::units * panel_row);
    constexpr int step = C::units * 2, to_panel = tile_bytes - (slices - 1) * step;
    columns = moved(columns, slice % slices == slices - 1 ? to_panel : step);
  }
  wgmma_wait<0>();
  pin(sum);
  pin(hidden);
}

template <class C>
__global__ void __launch_bounds__(C::threads, 1)
    forward(Forward s, const __grid_constant__ ForwardMaps maps) {
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const uint32_t matrices_came = base + C::barriers_at;
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int group = warp / 4, member = static_cast<int>(blockIdx.y);
  const bool leads = threadIdx.x % 128 == 0;
  const Pairs pairs(16 * (warp % 4), lane);
  const Tiles<C> tiles{base + C::rows_at, matrices_came, group};
  const int all = (s.in.rows + own_rows - 1) / own_rows,
            own = static_cast<int>(blockIdx.x) * C::groups + group,
            apart = static_cast<int>(gridDim.x) * C::groups;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 1 + 2 * C::groups; ++i) start_barrier(matrices_came + 8 * i, 1);
    show_barriers();
    load_resident<C>(base, matrices_came, maps, s.in.slices * C::units, s.mapped);
  }
  __syncthreads();
  if (leads)
    for (int i = 0; i < 2; ++i)
      if (own + i * apart < all) tiles.load(i, own + i * apart, maps, s.streamed);
  wait_barrier(matrices_came, 0);
  Quad a[4] = {};
  float sum[8][4] = {};
  for (int i = 0, tile = own; tile < all; ++i, tile += apart) {
    const uint32_t at = tiles.at(i);
    unsigned char* const x = shared + (at - start);
    wait_barrier(tiles.came(i), i / 2 % 2);
    if (s.mapped) multiply_map(sum, at + tile_bytes, base + C::map_at);
    normalise(a, s, sum, x, pairs);
    pass_units<C>(sum, a, s, describe(base, 0), describe(base + C::second_at, 0), [&] {
      if (i == 0 || !leads || tile + apart >= all) return;
      wait_writes();  // of the tile before, in whose place the next one comes
      tiles.load(i + 1, tile + apart, maps, s.streamed);
    });
    put_outputs(s, sum, x, pairs);
    show_copies();
    meet_group(1 + group);
    if (leads) {
      if (s.streamed) write_box(maps.h, at, 0, tile * own_rows, 0, member);
      write_box(maps.out, at + tile_bytes, 0, tile * own_rows, 0, member);
      commit_writes();
    }
    __syncwarp();
  }
  if (leads) wait_writes();
}

template <class C>
void launch(const MlpShape& shape, const MlpForward& f, Stream stream) {
  const MlpAround& block = *f.block;
  Forward s{.in = sliced_parts<C>(shape, f.first_factor, f.activation),
            .skip = block.skip,
            .branch = block.map ? block.branch * block.map_factor : block.branch,
            .epsilon = block.epsilon,
            .second_factor = f.second_factor,
            .out_skip = block.out_skip,
            .streamed = block.f != nullptr,
            .mapped = block.map != nullptr};
  s.second_factor *= s.in.factors.hidden;  // once an output instead of once a hidden unit
  constexpr int width = resident_width;
  const int padded = s.in.slices * C::units;
  const auto rows = [&](const void* base) {
    return tensor_map({base, width, shape.rows, 1, shape.members, width, shape.rows * width,
                       shape.rows * width, own_rows});
  };
  ForwardMaps maps{
      matrix_maps(shape, C::parts, padded, f.first, f.second, block.map, block.map_stride)};
  maps.x = rows(f.x), maps.out = rows(f.out);
  if (s.streamed) maps.f = rows(block.f), maps.h = rows(block.h);
  const auto kernel = forward<C>;
  allow_shared(kernel, C::bytes);
  const int64_t wanted = blocks_for(shape.rows, own_rows * C::groups),
                most = std::max<int64_t>(1, processors() / shape.members);
  const dim3 grid(static_cast<unsigned>(std::min(wanted, most)),
                  static_cast<unsigned>(shape.members));
  kernel<<<grid, C::threads, C::bytes, stream>>>(s, maps);
}

}  // namespace

bool fits_resident_mlp(const MlpShape& shape, const MlpAround* block) {
  return block && shape.width == resident_width && shape.inner <= 192 &&
         has_many_rows(shape.members, shape.rows);
}

void resident_mlp_forward(const MlpShape& shape, const MlpForward& f, Stream stream) {
  with_curve(shape.curve,
             [&](auto curve) { launch<Resident<decltype(curve)::value>>(shape, f, stream); });
  check_launch();
}

}  // namespace rung::cuda
