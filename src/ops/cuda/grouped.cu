// One linear map a group of rows, all members and groups in one launch: where a group's rows lie is
// read on the device. Products of bf16 by tensor cores (mma.sync behind three stages of cp.async)
// where sizes are multiples of 8, else by plain multiply-adds. Sums have one writer and a fixed
// order.
#include "ops/cuda/mma.cuh"

namespace rung::cuda {
namespace {

// One tile's product: C [rows, columns] = sum over k < depth of A(row, k) B(column, k). An operand
// lies with k along its lines (line = row or column) or across them (line = k).
template <class T>
struct Product {
  const T *a, *b;
  int64_t a_line, b_line;  // elements between lines
  int64_t rows, columns, depth;
};

// ---- Tensor cores -------------------------------------------------------------------------------

constexpr int stages = 3, deep = 32;  // k of one stage

// An operand's tile of `size` rows (or columns) from `first` on, in shared memory.
template <int size, bool along>
struct Operand {
  static constexpr int lines = along ? size : deep, length = along ? deep : size;
  static constexpr int stride = length + 8, elements = lines * stride;

  // Lines from `line0` of `line_count`, entries from `at0` of `at_count`, zeros beyond.
  __device__ static void load(bf16* to, const bf16* from, int64_t line, int64_t line0,
                              int64_t line_count, int64_t at0, int64_t at_count) {
    for (int i = threadIdx.x; i < lines * length / 8; i += blockDim.x) {
      const int row = i / (length / 8), column = i % (length / 8) * 8;
      const bool inside = line0 + row < line_count && at0 + column < at_count;
      const bf16* source = inside ? from + (line0 + row) * line + at0 + column : from;
      const unsigned target =
          static_cast<unsigned>(__cvta_generic_to_shared(to + row * stride + column));
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source),
                   "r"(inside ? 16 : 0));
    }
  }

  __device__ static void load_stage(bf16* to, const bf16* from, int64_t line, int64_t first,
                                    int64_t count, int64_t k, int64_t depth) {
    if constexpr (along)
      load(to, from, line, first, count, k, depth);
    else
      load(to, from, line, k, depth, first, count);
  }
};

template <int BM, int BN, bool a_along, bool b_along>
constexpr int shared_bytes = stages*(Operand<BM, a_along>::elements +
                                     Operand<BN, b_along>::elements) *
                             2;

// Warps lie 2 x (warps / 2); each holds [BM / 2, BN / (warps / 2)].
template <int BM, int BN, int warps, bool a_along, bool b_along, class Store>
__device__ void multiply(const Product<bf16>& p, int64_t row0, int64_t column0, Store&& store) {
  using A = Operand<BM, a_along>;
  using B = Operand<BN, b_along>;
  constexpr int WM = BM / 2, WN = BN / (warps / 2), MT = WM / 16, NT = WN / 16;
  extern __shared__ __align__(16) bf16 shared[];
  bf16 *const as = shared, *const bs = shared + stages * A::elements;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int m0 = warp % 2 * WM, n0 = warp / 2 * WN;
  const int steps = static_cast<int>((p.depth + deep - 1) / deep);
  const auto load = [&](int step) {
    if (step < steps) {
      const int64_t k = static_cast<int64_t>(step) * deep;
      A::load_stage(as + step % stages * A::elements, p.a, p.a_line, row0, p.rows, k, p.depth);
      B::load_stage(bs + step % stages * B::elements, p.b, p.b_line, column0, p.columns, k,
                    p.depth);
    }
    asm volatile("cp.async.commit_group;");
  };
  for (int step = 0; step + 1 < stages; ++step) load(step);
  float sum[MT][2 * NT][4] = {};
  for (int step = 0; step < steps; ++step) {
    asm volatile("cp.async.wait_group %0;" ::"n"(stages - 2));
    __syncthreads();
    load(step + stages - 1);
    const Tile<A::stride> a{as + step % stages * A::elements, lane};
    const Tile<B::stride> b{bs + step % stages * B::elements, lane};
#pragma unroll
    for (int k = 0; k < deep / 16; ++k) {
      Quad x[MT], w[NT];
#pragma unroll
      for (int i = 0; i < MT; ++i) {
        if constexpr (a_along)
          a.as_a(x[i], m0 / 16 + i, k);
        else
          a.as_a_of_columns(x[i], k, m0 / 16 + i);
      }
#pragma unroll
      for (int j = 0; j < NT; ++j) {
        if constexpr (b_along)
          b.as_b_of_rows(w[j], n0 / 16 + j, k);
        else
          b.as_b_of_columns(w[j], k, n0 / 16 + j);
      }
#pragma unroll
      for (int i = 0; i < MT; ++i)
#pragma unroll
        for (int j = 0; j < NT; ++j) {
          multiply_add(sum[i][2 * j], x[i], w[j][0], w[j][1]);
          multiply_add(sum[i][2 * j + 1], x[i], w[j][2], w[j][3]);
        }
    }
  }
#pragma unroll
  for (int i = 0; i < MT; ++i)
#pragma unroll
    for (int j = 0; j < 2 * NT; ++j)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int64_t row = row0 + m0 + 16 * i + lane / 4 + 8 * r,
                      column = column0 + n0 + 8 * j + lane % 4 * 2;
        if (row < p.rows && column < p.columns)
          store(row, column, sum[i][j][2 * r], sum[i][j][2 * r + 1]);
      }
}

// ---- Plain multiply-adds: fp32, and sizes that are no multiples of 8 ----------------------------

constexpr int plain_tile = 64, plain_deep = 16, plain_threads = 256;

template <bool a_along, bool b_along, class T, class Store>
__device__ void multiply_plain(const Product<T>& p, int64_t row0, int64_t column0, Store&& store) {
  __shared__ float as[plain_deep][plain_tile + 4], bs[plain_deep][plain_tile + 4];
  const int x = threadIdx.x % 16, y = threadIdx.x / 16;
  const auto load = [&](float(&to)[plain_deep][plain_tile + 4], const T* from, int64_t line,
                        bool along, int64_t first, int64_t count, int64_t k0) {
    for (int i = threadIdx.x; i < plain_tile * plain_deep; i += plain_threads) {
      const int k = along ? i % plain_deep : i / plain_tile,
                at = along ? i / plain_deep : i % plain_tile;
      const bool inside = first + at < count && k0 + k < p.depth;
      const int64_t place = along ? (first + at) * line + k0 + k : (k0 + k) * line + first + at;
      to[k][at] = inside ? to_float(from[place]) : 0.0f;
    }
  };
  float sum[4][4] = {};
  for (int64_t k0 = 0; k0 < p.depth; k0 += plain_deep) {
    __syncthreads();
    load(as, p.a, p.a_line, a_along, row0, p.rows, k0);
    load(bs, p.b, p.b_line, b_along, column0, p.columns, k0);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < plain_deep; ++k) {
      float a[4], b[4];
      load4(&as[k][4 * y], a);
      load4(&bs[k][4 * x], b);
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(a[i], b[j], sum[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int64_t row = row0 + 4 * y + i, column = column0 + 4 * x + j;
      if (row < p.rows && column < p.columns) store(row, column, sum[i][j]);
    }
}

// ---- Kernels ------------------------------------------------------------------------------------

// The group and rows of the slot-th tile of `size` rows, when tiles of all groups are counted in
// order; false beyond the last.
__device__ inline bool find_tile(const int* ends, int64_t groups, int size, int64_t slot,
                                 int64_t& group, int64_t& begin, int64_t& count) {
  for (group = 0; group < groups; ++group) {
    begin = ends[group];
    count = ends[group + 1] - begin;
    const int64_t tiles = (count + size - 1) / size;
    if (slot < tiles) {
      begin += slot * size;
      count = count - slot * size < size ? count - slot * size : size;
      return true;
    }
    slot -= tiles;
  }
  return false;
}

// y = factor x W_g^T (`along`: W's lines run along what is summed) or factor x W_g. Blocks: tiles
// of rows, tiles of columns, members.
template <class T, int BM, int BN, int warps, bool along>
__global__ void __launch_bounds__(warps > 0 ? 32 * warps : plain_threads)
    rows_product(GroupedShape s, const int* ends, const T* x, const T* weight, float factor, T* y) {
  constexpr int tile = warps > 0 ? BM : plain_tile, wide = warps > 0 ? BN : plain_tile;
  const int64_t member = blockIdx.z, depth = along ? s.in : s.out, columns = along ? s.out : s.in;
  int64_t group, begin, count;
  if (!find_tile(ends + member * (s.groups + 1), s.groups, tile, blockIdx.x, group, begin, count))
    return;
  const Product<T> p{x + (member * s.rows + begin) * depth,
                     weight + member * s.member_stride + group * s.group_stride,
                     depth,
                     s.in,
                     count,
                     columns,
                     depth};
  T* const to = y + (member * s.rows + begin) * columns;
  const int64_t column0 = static_cast<int64_t>(blockIdx.y) * wide;
  if constexpr (warps > 0)
    multiply<BM, BN, warps, true, along>(
        p, 0, column0, [&](int64_t row, int64_t column, float first, float second) {
          *reinterpret_cast<uint32_t*>(to + row * columns + column) =
              pack2(factor * first, factor * second);
        });
  else
    multiply_plain<true, along>(p, 0, column0, [&](int64_t row, int64_t column, float value) {
      to[row * columns + column] = from_float<T>(factor * value);
    });
}

// gradient_g += factor dy^T x over the rows of group g. Blocks: tiles [out, in], groups, members.
template <class T, int BM, int BN, int warps>
__global__ void __launch_bounds__(warps > 0 ? 32 * warps : plain_threads)
    weight_product(GroupedShape s, const int* ends, const T* x, const T* dy, float factor,
                   float* gradient) {
  constexpr int tile = warps > 0 ? BM : plain_tile, wide = warps > 0 ? BN : plain_tile;
  const int64_t member = blockIdx.z, group = blockIdx.y;
  const int64_t begin = ends[member * (s.groups + 1) + group],
                count = ends[member * (s.groups + 1) + group + 1] - begin;
  if (count == 0) return;
  const int64_t across = (s.in + wide - 1) / wide;
  const int64_t row0 = blockIdx.x / across * tile, column0 = blockIdx.x % across * wide;
  const Product<T> p{dy + (member * s.rows + begin) * s.out,
                     x + (member * s.rows + begin) * s.in,
                     s.out,
                     s.in,
                     s.out,
                     s.in,
                     count};
  float* const to = gradient + member * s.member_stride + group * s.group_stride;
  if constexpr (warps > 0)
    multiply<BM, BN, warps, false, false>(
        p, row0, column0, [&](int64_t row, int64_t column, float first, float second) {
          float2* const at = reinterpret_cast<float2*>(to + row * s.in + column);
          const float2 old = *at;
          *at = make_float2(old.x + factor * first, old.y + factor * second);
        });
  else
    multiply_plain<false, false>(p, row0, column0, [&](int64_t row, int64_t column, float value) {
      to[row * s.in + column] += factor * value;
    });
}

bool has_tensor_cores(Type type, const GroupedShape& s) {
  return type == Type::bf16 && s.in % 8 == 0 && s.out % 8 == 0 && s.group_stride % 8 == 0 &&
         s.member_stride % 8 == 0;
}

template <class Kernel, class... Arguments>
void launch(Kernel kernel, dim3 grid, int threads, int bytes, Stream stream,
            const Arguments&... arguments) {
  if (bytes > 48 * 1024)
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  kernel<<<grid, static_cast<unsigned>(threads), bytes, stream>>>(arguments...);
  check_launch();
}

template <bool along>
void rows_products(Type type, const GroupedShape& s, const int* ends, const void* x,
                   const void* weight, float factor, void* y, Stream stream) {
  const int64_t columns = along ? s.out : s.in;
  const auto grid = [&](int tile, int wide) {
    return dim3(static_cast<unsigned>(s.rows / tile + s.groups), blocks_for(columns, wide),
                static_cast<unsigned>(s.members));
  };
  const auto go = [&](auto kernel, auto* tag, dim3 blocks, int threads, int bytes) {
    using T = std::remove_pointer_t<decltype(tag)>;
    launch(kernel, blocks, threads, bytes, stream, s, ends, static_cast<const T*>(x),
           static_cast<const T*>(weight), factor, static_cast<T*>(y));
  };
  bf16* const half = nullptr;
  float* const single = nullptr;
  if (!has_tensor_cores(type, s)) {
    if (type == Type::bf16)
      go(rows_product<bf16, 0, 0, 0, along>, half, grid(plain_tile, plain_tile), plain_threads, 0);
    else
      go(rows_product<float, 0, 0, 0, along>, single, grid(plain_tile, plain_tile), plain_threads,
         0);
  } else if (columns >= 128 && s.rows >= 128 * s.groups) {
    go(rows_product<bf16, 128, 128, 8, along>, half, grid(128, 128), 256,
       shared_bytes<128, 128, true, along>);
  } else {
    go(rows_product<bf16, 64, 64, 4, along>, half, grid(64, 64), 128,
       shared_bytes<64, 64, true, along>);
  }
}

}  // namespace

void grouped_forward(Type type, const GroupedShape& s, const int* ends, const void* x,
                     const void* weight, float factor, void* y, Stream stream) {
  rows_products<true>(type, s, ends, x, weight, factor, y, stream);
}

void grouped_input_gradient(Type type, const GroupedShape& s, const int* ends, const void* dy,
                            const void* weight, float factor, void* dx, Stream stream) {
  rows_products<false>(type, s, ends, dy, weight, factor, dx, stream);
}

void grouped_weight_gradient(Type type, const GroupedShape& s, const int* ends, const void* x,
                             const void* dy, float factor, float* gradient, Stream stream) {
  const auto go = [&](auto kernel, auto* tag, int tile, int wide, int threads, int bytes) {
    using T = std::remove_pointer_t<decltype(tag)>;
    const dim3 blocks(blocks_for(s.out, tile) * blocks_for(s.in, wide),
                      static_cast<unsigned>(s.groups), static_cast<unsigned>(s.members));
    launch(kernel, blocks, threads, bytes, stream, s, ends, static_cast<const T*>(x),
           static_cast<const T*>(dy), factor, gradient);
  };
  bf16* const half = nullptr;
  float* const single = nullptr;
  if (!has_tensor_cores(type, s)) {
    if (type == Type::bf16)
      go(weight_product<bf16, 0, 0, 0>, half, plain_tile, plain_tile, plain_threads, 0);
    else
      go(weight_product<float, 0, 0, 0>, single, plain_tile, plain_tile, plain_threads, 0);
  } else if (s.out >= 128 && s.in >= 128) {
    go(weight_product<bf16, 128, 128, 8>, half, 128, 128, 256,
       shared_bytes<128, 128, false, false>);
  } else {
    go(weight_product<bf16, 64, 64, 4>, half, 64, 64, 128, shared_bytes<64, 64, false, false>);
  }
}

}  // namespace rung::cuda
