#ifdef RUNG_CUDA
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sort.h>

#include <tuple>

#include "ops/cuda/beside.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

bool fits_embedding(const Weight& table) {
  return table.value.size(2) % 8 == 0 && table.value.size(0) < 65536 &&
         (!table.gradient.defined() || table.gradient.scalar_type() == at::kFloat);
}

namespace {

// {tokens in order, their rows} of each member [P, rows].
std::pair<Tensor, Tensor> sorted_rows(const Tensor& tokens, int64_t vocabulary) {
  if (!fits_sort_tokens(tokens.size(1), vocabulary)) {
    // A radix sort: fewer bits are fewer passes.
    const auto narrow = vocabulary <= 32767 ? at::kShort : at::kInt;
    const auto [sorted, order] =
        at::sort(tokens.to(narrow), /*stable=*/std::optional<bool>(true), -1, /*descending=*/false);
    return {sorted.to(at::kLong), order.contiguous()};
  }
  const Tensor sorted = at::empty_like(tokens), order = at::empty_like(tokens);
  sort_tokens(tokens.size(0), tokens.size(1), tokens.const_data_ptr<int64_t>(),
              sorted.mutable_data_ptr<int64_t>(), order.mutable_data_ptr<int64_t>(), stream());
  return {sorted, order};
}

}  // namespace

Tensor embedding(const Tensor& tokens, const Weight& table) {
  const Tensor index = tokens.contiguous();
  const TableShape shape{tokens.size(0), tokens.size(1) * tokens.size(2), table.value.size(2),
                         table.value.stride(0)};
  Tensor y = at::empty({tokens.size(0), tokens.size(1), tokens.size(2), shape.width},
                       table.value.options());
  embedding_forward(type_of(y), shape, data(table.value), index.const_data_ptr<int64_t>(),
                    static_cast<float>(table.A), writable(y), stream());
  Tensor sorted, order;
  Mark ordered = nullptr;
  if (recording() && table.gradient.defined())  // nothing that the backward pass waits for
    ordered = beside({index}, {}, [&] {
      std::tie(sorted, order) =
          sorted_rows(index.view({shape.members, shape.rows}), table.value.size(1));
    });
  record(
      {y}, {},
      [=, w = table](const std::vector<Tensor>& g) {
        if (!w.gradient.defined() || !g[0].defined()) return std::vector<Tensor>{};
        const Tensor dy = g[0].contiguous();
        wait_for(ordered);
        wait_for_writers(w.gradient);  // the readout, where it is the same table
        TableShape to = shape;
        to.stride = w.gradient.stride(0);
        const auto at = [](const Tensor& t) { return t.const_data_ptr<int64_t>(); };
        const auto factor = static_cast<float>(w.A_weight);
        const Tensor partial =
            at::empty({to.members, embedding_segments(to), 2, to.width}, w.gradient.options());
        embedding_backward(type_of(dy), to, data(dy), at(sorted), at(order), factor,
                           floats(w.gradient), floats(partial), stream());
        return std::vector<Tensor>{};
      },
      true);
  return y;
}

}  // namespace rung::cuda
#endif
