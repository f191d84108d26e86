// Attention that reads the residual stream itself.
#pragma once
#include <utility>

#include "ops/attention.h"
#include "ops/norm.h"

namespace rung {

// Whether norm, map and attention are one op for these; the norm has no gain.
bool fits_stream_attention(const at::Tensor& x, const Weight& weight,
                           const AttentionOptions& options, const NormOptions& norm);
// {x, attention of A weight norm(x)}; gradients of both reach x in one pass. x [P, B, T, D].
std::pair<at::Tensor, at::Tensor> stream_attention(const at::Tensor& x, const NormOptions& norm,
                                                   const Weight& weight, const Rope& rope,
                                                   const AttentionOptions& options);
// Its plain twin: the three ops.
std::pair<at::Tensor, at::Tensor> stream_attention_plain(const at::Tensor& x,
                                                         const NormOptions& norm,
                                                         const Weight& weight, const Rope& rope,
                                                         const AttentionOptions& options);

}  // namespace rung
