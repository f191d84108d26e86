// Attention and its plain twin, for tables of shapes.
#pragma once
#include <string>

#include "ops/attention.h"
#include "support/twins.h"

namespace rung::test {

// qkv [P, B, T, (heads + 2 kv_heads) head_dim]; `rotated`: its heads are. On a GPU the tables are
// fp32 whatever the type, elsewhere as qkv.
inline Twin attention_twin(std::string name, const Tensor& qkv, const AttentionOptions& options,
                           bool rotated) {
  const auto op = [=](auto function) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>&) {
      const auto type = x[0].options().requires_grad(false).dtype(
          x[0].is_cuda() ? at::kFloat : x[0].scalar_type());
      const Rope rope = rotated ? make_rope(x[0].size(2), options.head_dim, type) : Rope{};
      return std::vector<Tensor>{function(x[0], rope, options)};
    };
  };
  return {.name = std::move(name),
          .inputs = {qkv},
          .weights = {},
          .fused = op(attention),
          .plain = op(attention_plain)};
}

}  // namespace rung::test
