#ifdef RUNG_CUDA
#include "train/cuda_plan.h"

#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

#include <algorithm>

#include "train/memory.h"

namespace rung {

namespace {

// Bytes that a forward and backward pass over so many sequences of every member asks for at most,
// besides weights and gradients.
double measured_bytes(const Population& p, std::span<const Weight> bound, int64_t sequences) {
  const int64_t context = p.decoder.model.context;
  const auto floats = p.weights.options().dtype(at::kFloat);
  const c10::DeviceIndex device = p.weights.device().index();
  const auto requested = [&] {
    return c10::cuda::CUDACachingAllocator::getDeviceStats(device).requested_bytes[0];
  };
  const Ropes ropes = make_ropes(p.decoder.model, context, floats);
  const at::Tensor tokens = at::zeros({p.members(), sequences, context}, floats.dtype(at::kLong));
  c10::cuda::CUDACachingAllocator::resetPeakStats(device);
  const auto before = requested().current;
  const at::Tensor losses = token_losses(p.decoder, bound, tokens, tokens, ropes, 1.0);
  losses.backward(losses.detach());
  c10::cuda::device_synchronize();
  return static_cast<double>(requested().peak - before);
}

// What each sequence adds, and what the first adds besides, by trial: a part's own count of what it
// keeps would be one more thing to get right.
std::pair<double, double> trial(const Population& p, bool half) {
  const auto floats = p.weights.options().dtype(at::kFloat);
  const std::vector<int64_t> sizes{p.members(), p.decoder.layout.stride};
  const at::Tensor gradient = at::zeros(sizes, floats);
  const at::Tensor values = half ? at::zeros(sizes, floats.dtype(at::kBFloat16)) : p.weights;
  const std::vector<Weight> bound = bind(p.decoder.layout, values, gradient);
  measured_bytes(p, bound, 1);  // libraries take their workspaces
  const double one = measured_bytes(p, bound, 1), two = measured_bytes(p, bound, 2);
  return {std::max(two - one, 1.0), std::max(2.0 * one - two, 0.0)};
}

}  // namespace

int64_t sequences_at_once(const Population& p, bool half) {
  const RunConfig& config = p.states.front().config;
  const double budget = memory_budget(config);
  MemoryPlan plan = fit_batch(p.decoder, config, p.members(), budget, 1);
  if (plan.counted) return plan.sequences;
  const auto [each, besides] = trial(p, half);
  // What the trial took lies with the stream that it ran on, where the step's own will not find it.
  c10::cuda::CUDACachingAllocator::emptyCache();
  plan.pass = 0.0;
  const double fixed = plan.held() + besides;
  int64_t count = p.batch_sequences;
  for (int64_t parts = 1; parts <= p.batch_sequences; ++parts) {
    if (p.batch_sequences % parts != 0) continue;
    count = p.batch_sequences / parts;
    if (static_cast<double>(count) * each + fixed <= budget) break;
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
