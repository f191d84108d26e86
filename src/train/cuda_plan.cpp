#ifdef RUNG_CUDA
#include "train/cuda_plan.h"

#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>

#include <algorithm>

#include "core/error.h"
#include "ops/cuda/fused.h"

namespace rung {

namespace {

constexpr double memory_share = 0.7;  // of the device, for one population

// Whether bytes_of_token counts what these parts keep.
bool is_counted(const Decoder& d, bool half) {
  const auto known = [](const Part* part, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), part->name) != names.end();
  };
  for (const Part* mixer : d.mixers)
    if (!known(mixer, {"attention"})) return false;
  for (const Part* ffn : d.ffns)
    if (!known(ffn, {"swiglu", "geglu", "gelu", "relu2", "none"})) return false;
  if (d.model.sub_norm) return false;
  return !half || (d.model.attention_cap == 0.0 && d.model.position != "cope");
}

// What one token of one member keeps until its gradient is taken.
double bytes_of_token(const Population& p, bool half) {
  const ModelConfig& m = p.decoder.model;
  const double size = half ? 2.0 : 4.0, width = static_cast<double>(m.width),
               inner = m.ffn_ratio * width;
  double layer = 8.0 * width + 3.0 * inner;
  if (!half) layer += 4.0 * static_cast<double>(heads_of(m) * m.context);
  // Logits, or what takes their place: sums of the stream's width in fp32.
  const double logits = half && cuda::without_logits(m.width)
                            ? 2.0 * width
                            : static_cast<double>(p.decoder.vocabulary);
  return size * (static_cast<double>(m.depth) * layer + 10.0 * width + 6.0 * inner + logits);
}

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
  size_t available = 0, total = 0;
  const cudaError_t error = cudaMemGetInfo(&available, &total);
  if (error != cudaSuccess) fail("[cuda] {}.", cudaGetErrorString(error));
  const double members = static_cast<double>(p.members());
  double sequence =
      members * static_cast<double>(p.decoder.model.context) * bytes_of_token(p, half);
  double fixed = members * static_cast<double>(p.decoder.layout.stride) * 18.0;
  if (!is_counted(p.decoder, half)) {
    const auto [each, besides] = trial(p, half);
    sequence = each;
    fixed += besides;
  }
  const double budget = memory_share * static_cast<double>(total) - fixed;
  int64_t count = p.batch_sequences;
  for (int64_t parts = 1; parts <= p.batch_sequences; ++parts) {
    if (p.batch_sequences % parts != 0) continue;
    count = p.batch_sequences / parts;
    if (static_cast<double>(count) * sequence <= budget) break;
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
