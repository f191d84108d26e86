#include "plan/shape.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace rung {
namespace {

constexpr int64_t small_head = 64, large_head = 128, large_from = 1024;

TensorSpec matrix(Role role, std::string name, std::vector<int64_t> shape, double active = 1.0) {
  return {.name = std::move(name), .role = role, .shape = std::move(shape), .active = active};
}

}  // namespace

int64_t head_size_of(int64_t width, const ShapeOptions& options) {
  if (options.head_size > 0) return options.head_size;
  return width < large_from ? std::min(width, small_head) : large_head;
}

int64_t width_step(int64_t width, const ShapeOptions& options) {
  return std::min(large_head, head_size_of(width, options));
}

double block_factor(const ShapeOptions& options) {
  return 4.0 + (options.gated ? 3.0 : 2.0) * options.ffn_ratio;
}

double ffn_share(const ShapeOptions& options) {
  return 1.0 - 4.0 / block_factor(options);
}

void choose_experts(double experts, double granularity, ShapeOptions& options) {
  options.experts = std::max<int64_t>(1, std::llround(experts));
  options.granularity = std::max<int64_t>(1, std::llround(granularity));
}

std::vector<TensorSpec> decoder_tensors(int64_t width, int64_t depth, const ShapeOptions& options) {
  const int64_t head = head_size_of(width, options), heads = width / head;
  const int64_t kv = (options.kv_heads > 0 ? options.kv_heads : heads) * head;
  const int64_t inner = std::llround(options.ffn_ratio * static_cast<double>(width));
  const int64_t experts = options.experts;
  const double active = 1.0 / static_cast<double>(experts);
  std::vector<TensorSpec> tensors;
  if (options.vocabulary > 0 && options.tied) {
    tensors.push_back(matrix(Role::tied, "embedding", {options.vocabulary, width}));
  } else if (options.vocabulary > 0) {
    tensors.push_back(matrix(Role::embedding, "embedding", {options.vocabulary, width}));
    tensors.back().counts_in_N = false;
    tensors.push_back(matrix(Role::readout, "readout", {options.vocabulary, width}));
  }
  for (int64_t layer = 0; layer < depth; ++layer) {
    tensors.push_back(matrix(Role::hidden, "qkv", {width + 2 * kv, width}));
    tensors.push_back(matrix(Role::hidden, "out", {width, width}));
    tensors.push_back(
        matrix(Role::hidden, "up", {experts, options.gated ? 2 * inner : inner, width}, active));
    tensors.push_back(matrix(Role::hidden, "down", {experts, width, inner}, active));
    if (experts > 1)
      tensors.push_back(matrix(Role::hidden, "router", {experts * options.granularity, width}));
  }
  return tensors;
}

ModelShape make_shape(int64_t width, int64_t depth, const ShapeOptions& options) {
  const int64_t head = head_size_of(width, options);
  if (width < 1 || depth < 1)
    fail_usage("[plan] Width and depth are positive. Received {} and {}.", width, depth);
  if (width % head != 0)
    fail_usage("[plan] Width {} is no multiple of the head size {}. Set --head-size to a divisor.",
               width, head);
  ModelShape shape{.width = width,
                   .depth = depth,
                   .heads = width / head,
                   .head_size = head,
                   .experts = options.experts};
  if (options.kv_heads > 0 && shape.heads % options.kv_heads != 0)
    fail_usage("[plan] {} heads cannot share {} key and value heads.", shape.heads,
               options.kv_heads);
  const std::vector<TensorSpec> tensors = decoder_tensors(width, depth, options);
  const Counts counts = count(tensors);
  shape.N = static_cast<double>(counts.N);
  shape.N_total = static_cast<double>(counts.N_total);
  if (options.experts > 1)
    shape.N_router = static_cast<double>(options.experts * options.granularity * width * depth);
  const double attention = options.context > 0
                               ? static_cast<double>(depth) *
                                     attention_flops_per_token(options.context, shape.heads, head)
                               : 0.0;
  shape.flops_per_token = 3.0 * forward_flops_per_token(tensors, attention);
  return shape;
}

}  // namespace rung
