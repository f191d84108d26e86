// Numbers rounded to a grid between their scales (ops/quantise.h): one pass, the scales given.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;

// Scales [members, size / width, groups of a row], or one for all where `scales` is null.
template <class T>
__global__ void __launch_bounds__(threads)
    quantise_all(GroupShape s, Rounding r, const float* scales, float fixed, const T* x, T* y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (i >= s.size) return;
  const int64_t member = blockIdx.y, groups = (s.width + s.block - 1) / s.block;
  const int64_t row = i / s.width, column = i - row * s.width;
  const float scale =
      scales ? scales[(member * (s.size / s.width) + row) * groups + column / s.block] : fixed;
  const int64_t at = member * s.size + i;
  const float value = round_to_grid(to_float(x[at]) * scale, r, static_cast<uint64_t>(i));
  y[at] = from_float<T>(value * (1.0f / scale));
}

}  // namespace

void quantise(Type type, const GroupShape& s, const Rounding& rounding, const float* scales,
              float fixed, const void* x, void* y, Stream stream) {
  const dim3 grid(blocks_for(s.size, threads), static_cast<unsigned>(s.members));
  with_type(type, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    quantise_all<<<grid, threads, 0, stream>>>(s, rounding, scales, fixed, static_cast<const T*>(x),
                                               static_cast<T*>(y));
  });
  check_launch();
}

}  // namespace rung::cuda
