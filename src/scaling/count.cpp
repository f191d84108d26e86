#include "scaling/count.h"

#include <cmath>

namespace rung {
namespace {

// Not rounded: k of E experts are whole only together.
double active_size(const TensorSpec& tensor) {
  return static_cast<double>(tensor.size()) * tensor.active;
}

}  // namespace

Counts count(std::span<const TensorSpec> tensors) {
  Counts counts;
  double active = 0.0, frozen = 0.0;
  for (const TensorSpec& tensor : tensors) {
    counts.N_total += tensor.size();
    if (tensor.role == Role::embedding || tensor.role == Role::tied)
      counts.N_embedding += tensor.size();
    if (tensor.role == Role::readout || tensor.role == Role::tied)
      counts.N_readout += tensor.size();
    if (tensor.frozen) counts.frozen += tensor.size();
    if (!tensor.counts_in_N || tensor.role == Role::embedding) continue;
    active += active_size(tensor);
    if (tensor.frozen) frozen += active_size(tensor);
  }
  counts.N = std::llround(active);
  counts.N_active = std::llround(active - frozen);
  return counts;
}

double attention_flops_per_token(int64_t context, int64_t heads, int64_t head_dim) {
  return 2.0 * static_cast<double>(context + 1) * static_cast<double>(heads * head_dim);
}

double forward_flops_per_token(std::span<const TensorSpec> tensors, double extra) {
  double flops = extra;
  for (const TensorSpec& tensor : tensors) {
    const bool matrix = tensor.role != Role::embedding && tensor.role != Role::gain &&
                        tensor.role != Role::bias &&
                        !(tensor.role == Role::channel && tensor.shape.size() < 2);
    if (matrix) flops += 2.0 * active_size(tensor);
  }
  return flops;
}

double training_flops(std::span<const TensorSpec> tensors, double extra, int64_t tokens) {
  return 3.0 * forward_flops_per_token(tensors, extra) * static_cast<double>(tokens);
}

double flops_6nd(int64_t n, int64_t tokens) {
  return 6.0 * static_cast<double>(n) * static_cast<double>(tokens);
}

}  // namespace rung
