#include "ops/stream_attention.h"

#include "ops/cuda/fused.h"
#include "ops/dispatch.h"
#include "ops/linear.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

bool fits_stream_attention(const Tensor& x, const Weight& weight, const AttentionOptions& options,
                           const NormOptions& norm) {
  if constexpr (with_cuda)
    return fused_on_cuda(x) && cuda::fits_fp8_stream_attention(x, weight, options, norm);
  return false;
}

std::pair<Tensor, Tensor> stream_attention(const Tensor& x, const NormOptions& norm,
                                           const Weight& weight, const Rope& rope,
                                           const AttentionOptions& options) {
  const Span span("rung::attention");
  if constexpr (with_cuda)
    if (fits_stream_attention(x, weight, options, norm))
      return cuda::fp8_stream_attention(x, norm, weight, rope, options);
  return stream_attention_plain(x, norm, weight, rope, options);
}

std::pair<Tensor, Tensor> stream_attention_plain(const Tensor& x, const NormOptions& norm,
                                                 const Weight& weight, const Rope& rope,
                                                 const AttentionOptions& options) {
  const auto [h, y] = add_norm(x, {}, {}, norm);
  return {h, attention(linear(y, weight), rope, options)};
}

}  // namespace rung
