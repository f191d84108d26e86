// Each of three warpgroups has 64 hidden units, whose gradients it keeps in registers while the
// block's rows pass by. Units lie along the rows of the products, so that what comes of one is at
// once the left operand of the next; the gate's 64 rows of the first matrix stay in registers too.
// Then each multiplies all units' gradients for its own rows of the tile.
#include "ops/cuda/hopper/resident_mlp_backward.cuh"

namespace rung::cuda {
namespace {

constexpr int pass = 16;  // rows at a time: with more there are no registers for their products
using Sums = float[pass / 8][4];

// Products of the warpgroup's units with a pass's rows: before their curve, and their gradients.
template <class C>
__device__ inline void multiply_again(Sums& gate, Sums& up, Sums& d, Quad (&gates)[4],
                                      const BackGroup& at, uint64_t x, uint64_t dout) {
  wgmma_fence();
  multiply<0>(gate, gates[0], x);
#pragma unroll
  for (int k = 1; k < 4; ++k) multiply_add<0>(gate, gates[k], moved(x, k * 32));
  if constexpr (C::parts == 2) {
    const uint64_t ups = describe(at.base + (C::units + 64 * at.group) * panel_row, 0);
    multiply(up, ups, x);
#pragma unroll
    for (int k = 1; k < 4; ++k) multiply_add(up, moved(ups, k * 32), moved(x, k * 32));
  }
  const uint64_t columns = describe(at.base + C::second_at + at.group * square_bytes, 0);
  multiply_turned<0>(d, columns, dout);
#pragma unroll
  for (int k = 1; k < 4; ++k)
    multiply_add_turned<0>(d, moved(columns, k * 16 * panel_row), moved(dout, k * 32));
  wgmma_commit();
  wgmma_wait<0>();
  pin(gates);
  pin(gate);
  if constexpr (C::parts == 2) pin(up);
  pin(d);
}

// Hidden units, then gradients before their curve, all but for constant factors, as A operands.
template <class C>
__device__ inline void turn_back(Quad (&units)[1 + C::parts], const CurveFactors& s,
                                 const Sums& gate, const Sums& up, const Sums& d) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    float value[2], dgate[2], dup[2];
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int block = i / 2, place = i % 2 * 2 + e;
      float derivative;
      value[e] = curve_of<C::curve>(gate[block][place], s, derivative);
      dgate[e] = d[block][place] * derivative;
      if constexpr (C::parts == 2) {
        dup[e] = d[block][place] * value[e];
        value[e] *= up[block][place];
        dgate[e] *= up[block][place];
      }
    }
    units[0][i] = pack2(value[0], value[1]);
    units[1][i] = pack2(dgate[0], dgate[1]);
    if constexpr (C::parts == 2) units[2][i] = pack2(dup[0], dup[1]);
  }
}

// A warpgroup's units over rows of a tile from `first` on: the matrices' gradients to `sum`, the
// units' to shared memory, one panel of 64 bytes a row.
template <class C>
__device__ void pass_rows(UnitSums<C>& sum, Quad (&gates)[4], const BackGroup& at, const Back& s,
                          int tile, int first) {
  const uint64_t x = describe(at.base + C::x(tile) + first * panel_row, 0),
                 dout = moved(x, back_tile_bytes);
  Sums gate, up, d;
  multiply_again<C>(gate, up, d, gates, at, x, dout);
  Quad units[1 + C::parts];
  turn_back<C>(units, s.factors, gate, up, d);
  pin(units);  // or products would begin before the last of them are made, which costs registers
  wgmma_fence();
#pragma unroll
  for (int p = 0; p < C::parts; ++p) multiply_add<1>(sum.first[p], units[1 + p], x);
  multiply_add<1>(sum.second, units[0], dout);
  wgmma_commit();
  const int lane = at.lane(), unit = 64 * at.group + 16 * at.warp + lane % 16,
            piece = first % back_own / 8 + lane / 16;
  const uint32_t to = at.base + C::units_at + first / back_own * C::units_bytes + unit * unit_row +
                      (piece ^ unit / 2 % 4) * 16;
#pragma unroll
  for (int p = 0; p < C::parts; ++p) store_matrices(to + p * C::units * unit_row, units[1 + p]);
  wgmma_wait<0>();
#pragma unroll
  for (int p = 0; p < C::parts; ++p) pin(sum.first[p]);
  pin(sum.second);
  pin(units);
}

// The gradient of the warpgroup's normalised rows, but for a constant factor.
template <class C>
__device__ void multiply_units(const BackGroup& at) {
  const uint64_t first = describe(at.base, 0),
                 units = describe_half(at.base + C::units_at + at.group * C::units_bytes);
  float sum[4][4];
  wgmma_fence();
  multiply_turned<1>(sum, first, units);
#pragma unroll
  for (int k = 1; k < C::padded / 16; ++k)
    multiply_add_turned<1>(sum, moved(first, k * 16 * panel_row), moved(units, k * 16 * unit_row));
  wgmma_commit();
  wgmma_wait<0>();
  pin(sum);
  put_turned(at, C::back_at, sum, 1.0f);
}

// The warpgroup's df behind the map, to global memory.
template <class C>
__device__ void map_back(const BackGroup& at, const Back& s, int64_t member, int begin, int end) {
  const uint64_t map = describe(at.base + C::map_at, 0),
                 rows = describe(at.base + C::back_at + at.group * back_own_bytes, 0);
  float sum[4][4];
  show_copies();
  at.meet();
  wgmma_fence();
  multiply_turned<0>(sum, map, rows);
#pragma unroll
  for (int k = 1; k < 4; ++k)
    multiply_add_turned<0>(sum, moved(map, k * 16 * panel_row), moved(rows, k * 32));
  wgmma_commit();
  wgmma_wait<0>();
  pin(sum);
  at.meet();  // df has been read
  put_turned(at, C::back_at, sum, s.map_factor);
#pragma unroll
  for (int i = at.thread(); i < back_own * 8; i += 128) {
    const int row = back_own * at.group + i / 8;
    if (begin + row < end)
      store16(s.dmapped + member + static_cast<int64_t>(begin + row) * resident_width + i % 8 * 8,
              *reinterpret_cast<const uint4*>(at.piece(C::back_at, row, i % 8)));
  }
}

template <class C>
__global__ void __launch_bounds__(back_threads, 1)
    backward(Back s, const __grid_constant__ BackMaps maps) {
  extern __shared__ unsigned char shared[];
  const BackGroup at = back_group(shared);
  float* const rstd = reinterpret_cast<float*>(at.shared + C::rstd_at);
  const int begin = static_cast<int>(blockIdx.x) * s.per_block,
            end = min(begin + s.per_block, s.rows),
            tiles = (end - begin + back_tile - 1) / back_tile;
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.rows * resident_width;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 3; ++i) start_barrier(at.base + C::barriers_at + 8 * i, 1);
    show_barriers();
    load_resident<C>(at.base, at.base + C::barriers_at, maps, C::units, s.mapped);
    load_tile<C>(at.base, maps, 0, begin);
  }
  __syncthreads();
  UnitSums<C> sum;
  Quad gates[4];
  wait_barrier(at.base + C::barriers_at, 0);
  load_gates<C>(gates, at);
#pragma unroll 1
  for (int tile = 0; tile < tiles; ++tile) {
    const int row = begin + tile * back_tile;
    wait_barrier(at.base + C::came(tile), tile / 2 % 2);
    normalise_own(at, C::x(tile), rstd, s.epsilon);
    show_copies();
    __syncthreads();  // rows are normalised; those before them and units' gradients have been read
    if (threadIdx.x == 0 && tile + 1 < tiles)
      load_tile<C>(at.base, maps, tile + 1, row + back_tile);
#pragma unroll 1
    for (int first = 0; first < back_tile; first += pass) pass_rows(sum, gates, at, s, tile, first);
    show_copies();
    __syncthreads();  // all units' gradients are there
    multiply_units<C>(at);
    const StreamTiles rows{C::back_at, C::x(tile), C::x(tile) + back_tile_bytes, true, rstd};
    write_stream(at, s.stream, rows, s.mapped, member, row, end);
    if (s.mapped) map_back<C>(at, s, member, row, end);
  }
  __syncthreads();
  if (s.partial) write_sums(sum, at, s);
}

template <class C>
void launch(const MlpShape& shape, const MlpBackward& b, Stream stream) {
  const MlpAroundGradient& block = *b.block;
  const CurveFactors factors = sliced_parts<C>(shape, b.first_factor, b.activation).factors;
  const float units = b.dhidden * (gated<C::curve> ? b.first_factor : 1.0f);
  const int64_t blocks = mlp_blocks(shape);
  const Back s{
      .stream = {static_cast<bf16*>(b.dx), static_cast<bf16*>(block.df),
                 units * b.dinput * block.input_gradient, block.out_skip, block.skip, block.branch},
      .dmapped = static_cast<bf16*>(block.dmapped),
      .partial = b.dfirst ? b.partial : nullptr,
      .factors = factors,
      .rows = static_cast<int>(shape.rows),
      .per_block = back_rows_each(shape.rows, blocks),
      .inner = static_cast<int>(shape.inner),
      .units = units,
      .epsilon = block.epsilon,
      .map_factor = block.map_factor,
      .mapped = block.dmapped != nullptr};
  BackMaps maps{matrix_maps(shape, C::parts, C::units, b.first, b.second,
                            s.mapped ? block.map : nullptr, block.map_stride)};
  maps.x = back_rows(b.x, shape.members, shape.rows);
  maps.dout = back_rows(b.dout, shape.members, shape.rows);
  const auto kernel = backward<C>;
  allow_shared(kernel, C::bytes);
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(shape.members));
  kernel<<<grid, back_threads, C::bytes, stream>>>(s, maps);
}

}  // namespace

bool fits_resident_mlp_backward(const MlpShape& shape) {
  return shape.width == resident_width && shape.inner > 128 && shape.inner <= 192 &&
         has_many_rows(shape.members, shape.rows);
}

void resident_mlp_backward(const MlpShape& shape, const MlpBackward& b, Stream stream) {
  with_curve(shape.curve,
             [&](auto curve) { launch<ResidentBack<decltype(curve)::value>>(shape, b, stream); });
  check_launch();
}

}  // namespace rung::cuda
