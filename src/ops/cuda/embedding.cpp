#ifdef RUNG_CUDA
#include <ATen/ops/empty.h>
#include <ATen/ops/sort.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

bool fits_embedding(const Weight& table) {
  return table.value.size(2) % 8 == 0 && table.value.size(0) < 65536 &&
         (!table.gradient.defined() || table.gradient.scalar_type() == at::kFloat);
}

Tensor embedding(const Tensor& tokens, const Weight& table) {
  const Tensor index = tokens.contiguous();
  const TableShape shape{tokens.size(0), tokens.size(1) * tokens.size(2), table.value.size(2),
                         table.value.stride(0)};
  Tensor y = at::empty({tokens.size(0), tokens.size(1), tokens.size(2), shape.width},
                       table.value.options());
  embedding_forward(type_of(y), shape, data(table.value), index.const_data_ptr<int64_t>(),
                    static_cast<float>(table.A), writable(y), stream());
  record(
      {y}, {},
      [=, w = table](const std::vector<Tensor>& g) {
        if (!w.gradient.defined() || !g[0].defined()) return std::vector<Tensor>{};
        const Tensor dy = g[0].contiguous();
        const auto [sorted, order] = at::sort(index.view({shape.members, shape.rows}),
                                              /*stable=*/std::optional<bool>(true), -1, false);
        const Tensor tokens_in_order = sorted.contiguous(), rows_in_order = order.contiguous();
        TableShape to = shape;
        to.stride = w.gradient.stride(0);
        embedding_backward(type_of(dy), to, data(dy), tokens_in_order.const_data_ptr<int64_t>(),
                           rows_in_order.const_data_ptr<int64_t>(), static_cast<float>(w.A_weight),
                           floats(w.gradient), stream());
        return std::vector<Tensor>{};
      },
      true);
  return y;
}

}  // namespace rung::cuda
#endif
