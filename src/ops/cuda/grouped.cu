// One linear map a group of rows, all members and groups in one launch: where a group's rows lie is
// read on the device. Sums have one writer and a fixed order.
#include "ops/cuda/group_product.cuh"

namespace rung::cuda {
namespace {

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
