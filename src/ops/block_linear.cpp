#include "ops/block_linear.h"

#include <ATen/ops/matmul.h>

#include "ops/cuda/fused.h"
#include "ops/dispatch.h"

namespace rung {

at::Tensor block_linear(const at::Tensor& x, const at::Tensor& weight, int64_t blocks) {
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2), in = weight.size(2);
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && in == 4 && weight.size(1) == 4 * blocks)
      return cuda::small_map(x, weight);
  const at::Tensor parts = x.reshape({members, rows, blocks, in}).transpose(1, 2);
  const at::Tensor maps = weight.reshape({members, blocks, -1, in});
  return at::matmul(parts, maps.mT()).transpose(1, 2).reshape({members, x.size(1), x.size(2), -1});
}

}  // namespace rung
