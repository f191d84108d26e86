#include "ops/mlstm.h"

#include <ATen/ops/addcmul.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cummax.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/split_with_sizes.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/unbind.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "ops/chunks.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/span.h"
#include "ops/wide.h"

namespace rung {

using at::Tensor;

namespace {

// Memory and m before the first step.
std::pair<Tensor, Tensor> first_state(const MlstmInput& in) {
  if (in.memory.defined()) return {in.memory, in.m};
  const int64_t members = in.v.size(0), batch = in.v.size(1), heads = in.v.size(3);
  return {at::zeros({members, batch, heads, in.k.size(4), in.v.size(4) + 1}, in.input.options()),
          at::zeros({members, batch, heads}, in.input.options())};
}

// The normaliser is the value 1; `columns` in all, zeros behind it.
Tensor with_one(const Tensor& v, int64_t columns) {
  auto shape = v.sizes().vec();
  shape.back() = 1;
  return at::constant_pad_nd(at::cat({v, at::ones(shape, v.options())}, -1),
                             {0, columns - v.size(-1) - 1});
}

// both [.., at least V + 1] holds C^T q and n q, times exp(-m). The authors add an epsilon to the
// denominator, which makes h depend on m; a floor that no ordinary value reaches does not.
Tensor normalised(const Tensor& both, int64_t values, const Tensor& m) {
  const auto parts = at::split_with_sizes(both, {values, 1, both.size(-1) - values - 1}, -1);
  return parts[0] / at::maximum(parts[1].abs(), at::exp(-m).clamp_min(1e-30).unsqueeze(-1));
}

}  // namespace

// m is a constant to the gradient: nothing that leaves the cell depends on it. unbind, not select:
// its gradient is one stack, where every select's is as large as all steps.
MlstmOutput mlstm_recurrent(const MlstmInput& in) {
  auto [memory, m] = first_state(in);
  const int64_t values = in.v.size(4);
  const auto qs = at::unbind(in.q.unsqueeze(-2), 2), ks = at::unbind(in.k, 2),
             vs = at::unbind(with_one(in.v, values + 1).unsqueeze(-2), 2),
             inputs = at::unbind(in.input, 2), forgets = at::unbind(at::log_sigmoid(in.forget), 2);
  std::vector<Tensor> h;
  for (size_t t = 0; t < qs.size(); ++t) {
    const Tensor kept = forgets[t] + m, input = inputs[t];  // [P, B, H]
    m = at::maximum(kept, input).detach();
    const Tensor f = at::exp(kept - m).unsqueeze(-1).unsqueeze(-1);
    const Tensor key = at::exp(input - m).unsqueeze(-1) * ks[t];
    memory = f * memory + key.unsqueeze(-1) * vs[t];
    h.push_back(normalised(at::matmul(qs[t], memory).squeeze(-2), values, m));
  }
  return {at::stack(h, 2), memory, m};
}

namespace {

struct Memories {
  std::vector<Tensor> m;  // before each chunk, and after the last
  Tensor kept;            // [P, B, chunks, H], factors on the memory before
};

// m is known before any memory: the largest factor's logarithm, kept from before or added.
Memories scales(const Tensor& all, const Tensor& largest, Tensor m) {
  const auto sums = at::unbind(all, 2), tops = at::unbind(largest, 2);
  std::vector<Tensor> ms{std::move(m)}, kept;
  for (size_t c = 0; c < sums.size(); ++c) {
    const Tensor old = sums[c] + ms.back();
    ms.push_back(at::maximum(old, tops[c]).detach());
    kept.push_back(at::exp(old - ms.back()));
  }
  return {ms, at::stack(kept, 2)};
}

}  // namespace

// Within a chunk as attention whose scores are multiplied by the gates between key and query;
// across chunks by the recurrence of their memories. A padded step has f = 1 and i = 0. Values have
// a multiple of 8 columns, as matrix units want them; gates are summed, and memories kept, in the
// gates' type.
MlstmOutput mlstm_chunked(const MlstmInput& in, int64_t chunk) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const int64_t time = in.v.size(2), values = in.v.size(4), columns = (values + 8) / 8 * 8;
  const at::ScalarType type = in.v.scalar_type(), exact = in.input.scalar_type();
  chunk = std::min(chunk, time);
  const auto cut = [chunk](const Tensor& x, double pad = 0.0) {  // [P, B, chunks, H, L, ..]
    return chunks_of(x, 1, chunk, pad).squeeze(3);
  };
  const Tensor q = cut(in.q), k = cut(in.k), v = cut(with_one(in.v, columns));
  const Tensor log_forget = cut(at::log_sigmoid(in.forget)), input = cut(in.input, -infinity);
  const Tensor since = at::cumsum(log_forget, -1);  // from the chunk's start to each step
  const Tensor end = sums_after(log_forget) + input, from = input - since;
  Tensor gates, inside;  // inside [.., L]: the largest gate of each step
  if (type == exact) {
    gates = log_decays(log_forget) + input.unsqueeze(-2);
    inside = at::amax(gates.detach(), -1);
  } else {
    inside = since.detach() + std::get<0>(at::cummax(from.detach(), -1));
  }
  auto [memory, first] = first_state(in);
  const Tensor largest = at::amax(end.detach(), -1);
  const auto [ms, kept] = scales(since.select(-1, chunk - 1), largest, first);
  const size_t count = ms.size() - 1;
  const Tensor before = at::stack(at::TensorList(ms.data(), count), 2),
               after = at::stack(at::TensorList(ms.data() + 1, count), 2);  // [P, B, chunks, H]
  const Tensor keys = (k * at::exp(end - after.unsqueeze(-1)).unsqueeze(-1)).to(type);
  const auto added = at::unbind(at::matmul(keys.mT(), v).to(exact), 2);  // [P, B, H, K, columns]
  const auto factors = at::unbind(kept.unsqueeze(-1).unsqueeze(-1), 2);
  memory = at::constant_pad_nd(memory, {0, columns - values - 1});
  std::vector<Tensor> memories;
  for (size_t c = 0; c < count; ++c) {
    memories.push_back(memory);
    memory = at::addcmul(added[c], factors[c], memory);
  }
  const Tensor carried = since + before.unsqueeze(-1);
  const Tensor row = at::maximum(carried, inside).detach();
  const Tensor decays =
      type == exact ? at::exp(gates - row.unsqueeze(-1)) : decays_in(type, since - row, from);
  const Tensor both =
      at::matmul(at::matmul(q, k.mT()) * decays, v) +
      at::matmul(q, at::stack(memories, 2).to(type)) * at::exp(carried - row).unsqueeze(-1);
  const Tensor h = normalised(both, values, row).movedim(3, 4).to(type);  // [.., chunks, L, H, V]
  return {h.reshape({h.size(0), h.size(1), -1, h.size(4), h.size(5)}).narrow(2, 0, time),
          memory.narrow(-1, 0, values + 1), ms.back()};
}

namespace {

// Of the chunks only the inputs are kept, as their scores and gates are many times larger.
MlstmOutput mlstm_cuda(const MlstmInput& in, int64_t chunk) {
  const auto run = [=](const std::vector<Tensor>& t) -> std::vector<Tensor> {
    const MlstmOutput out =
        mlstm_chunked({t[0], t[1], t[2], wide(t[3]), wide(t[4]), t[5], t[6]}, chunk);
    return {out.h, out.memory, out.m};
  };
  const auto out = recomputed({in.q, in.k, in.v, in.input, in.forget, in.memory, in.m}, run);
  return {out[0], out[1], out[2]};
}

}  // namespace

MlstmOutput mlstm(const MlstmInput& input, int64_t chunk) {
  const Span span("rung::recurrence");
  if constexpr (with_cuda)
    if (fused_on_cuda(input.v) && cuda::fits_mlstm(input))
      return cuda::mlstm(
          {input.q, input.k, input.v, wide(input.input), wide(input.forget), {}, {}});
  chunk = chosen_chunk(chunk, input.k.size(4), input.v.size(4));
  if (fused_on_cuda(input.v)) return mlstm_cuda(input, chunk);
  return input.v.size(2) == 1 ? mlstm_recurrent(input) : mlstm_chunked(input, chunk);
}

}  // namespace rung
