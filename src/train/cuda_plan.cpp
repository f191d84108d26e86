#ifdef RUNG_CUDA
#include "train/cuda_plan.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "core/error.h"

namespace rung {

namespace {

constexpr double memory_share = 0.7;  // of the device, for one population

}  // namespace

int64_t sequences_at_once(const Population& p, bool half) {
  size_t available = 0, total = 0;
  const cudaError_t error = cudaMemGetInfo(&available, &total);
  if (error != cudaSuccess) fail("[cuda] {}.", cudaGetErrorString(error));
  const ModelConfig& m = p.decoder.model;
  const double size = half ? 2.0 : 4.0, members = static_cast<double>(p.members());
  const double width = static_cast<double>(m.width), inner = m.ffn_ratio * width;
  double layer = 8.0 * width + 3.0 * inner;
  if (!half) layer += 4.0 * static_cast<double>(heads_of(m) * m.context);
  const double token = size * (static_cast<double>(m.depth) * layer + 10.0 * width + 6.0 * inner +
                               static_cast<double>(p.decoder.vocabulary));
  const double fixed = members * static_cast<double>(p.decoder.layout.stride) * 18.0;
  const double budget = memory_share * static_cast<double>(total) - fixed;
  int64_t count = p.batch_sequences;
  const auto fits = [&](int64_t c) {
    return members * static_cast<double>(c * m.context) * token <= budget;
  };
  for (int64_t parts = 1; parts <= p.batch_sequences; ++parts) {
    if (p.batch_sequences % parts != 0) continue;
    count = p.batch_sequences / parts;
    if (fits(count)) break;
  }
  return count;
}

bool same_factors(const BlockFactors& a, const BlockFactors& b) {
  const auto same = [](const OpFactor& x, const OpFactor& y) {
    return x.forward == y.forward && x.backward == y.backward;
  };
  const auto residual = [](const ResidualFactor& x, const ResidualFactor& y) {
    return x.skip == y.skip && x.branch == y.branch && x.delayed == y.delayed;
  };
  const auto ffn = [&](const FfnFactor& x, const FfnFactor& y) {
    return same(x.activation, y.activation) && x.mixture == y.mixture && x.sum == y.sum;
  };
  return a.attention_logit == b.attention_logit && same(a.attention_output, b.attention_output) &&
         a.ffn_slope == b.ffn_slope &&
         std::equal(a.ffn.begin(), a.ffn.end(), b.ffn.begin(), b.ffn.end(), ffn) &&
         a.embedding == b.embedding && a.loss_logit == b.loss_logit &&
         a.loss_gradient == b.loss_gradient &&
         std::equal(a.residual.begin(), a.residual.end(), b.residual.begin(), b.residual.end(),
                    residual);
}

}  // namespace rung
#endif
