#include "ops/norm_linear.h"

#include "ops/cuda/fused.h"
#include "ops/dispatch.h"
#include "ops/linear.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

std::pair<Tensor, Tensor> norm_linear_plain(const Tensor& x, const Weight& weight,
                                            const NormOptions& options) {
  const auto [h, u] = add_norm(x, Tensor(), {}, options);
  return {h, linear(u, weight)};
}

bool fits_norm_linear(const Tensor& x, const Weight& weight, const NormOptions& options) {
  if constexpr (with_cuda)
    return fused_on_cuda(x) && !options.center && cuda::fits_norm_linear(x, weight);
  return false;
}

std::pair<Tensor, Tensor> norm_linear(const Tensor& x, const Weight& weight,
                                      const NormOptions& options) {
  const Span span("rung::norm and map");
  if constexpr (with_cuda)
    if (fits_norm_linear(x, weight, options)) return cuda::norm_linear(x, weight, options);
  return norm_linear_plain(x, weight, options);
}

}  // namespace rung
