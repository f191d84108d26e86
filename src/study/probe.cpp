#include "study/probe.h"

#include <ATen/ops/tril_indices.h>

#include "model/mixers/attention.h"

namespace rung {

using at::Tensor;

Tensor visible_scores(const Decoder& d, std::span<const Weight> weights, const Tensor& map,
                      const Rope& rope) {
  const AttentionOptions options = attention_options(d.model, d.block, 0);
  const Tensor qkv = finish_qkv(map, weights, d.model, options);
  const Tensor scores = attention_scores(qkv, rope, options);
  const int64_t time = qkv.size(2);
  const Tensor pairs = at::tril_indices(time, time, 0, at::TensorOptions().dtype(at::kLong));
  const Tensor flat = (pairs.select(0, 0) * time + pairs.select(0, 1)).to(scores.device());
  return scores.flatten(-2).index_select(-1, flat);
}

std::string kind_of(const std::string& name) {
  return name.starts_with("blocks.") ? name.substr(name.find('.', 7) + 1) : name;
}

}  // namespace rung
