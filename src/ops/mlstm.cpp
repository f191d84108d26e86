#include "ops/mlstm.h"

#include <ATen/ops/amax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/split_with_sizes.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "ops/chunks.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/wide.h"

namespace rung {

using at::Tensor;

namespace {

// Memory and m before the first step.
std::pair<Tensor, Tensor> first_state(const MlstmInput& in) {
  if (in.memory.defined()) return {in.memory, in.m};
  const int64_t members = in.v.size(0), batch = in.v.size(1), heads = in.v.size(3);
  return {at::zeros({members, batch, heads, in.k.size(4), in.v.size(4) + 1}, in.v.options()),
          at::zeros({members, batch, heads}, in.v.options())};
}

// The normaliser is the value 1.
Tensor with_one(const Tensor& v) {
  auto shape = v.sizes().vec();
  shape.back() = 1;
  return at::cat({v, at::ones(shape, v.options())}, -1);
}

// both [.., V + 1] holds C^T q and n q, times exp(-m). The authors add an epsilon to the
// denominator, which makes h depend on m; a floor that no ordinary value reaches does not.
Tensor normalised(const Tensor& both, const Tensor& m) {
  const auto parts = at::split_with_sizes(both, {both.size(-1) - 1, 1}, -1);
  return parts[0] / at::maximum(parts[1].abs(), at::exp(-m).clamp_min(1e-30).unsqueeze(-1));
}

}  // namespace

// m is a constant to the gradient: nothing that leaves the cell depends on it.
MlstmOutput mlstm_recurrent(const MlstmInput& in) {
  auto [memory, m] = first_state(in);
  const Tensor v = with_one(in.v), log_forget = at::log_sigmoid(in.forget);
  std::vector<Tensor> h;
  for (int64_t t = 0; t < v.size(2); ++t) {
    const Tensor kept = log_forget.select(2, t) + m, input = in.input.select(2, t);  // [P, B, H]
    m = at::maximum(kept, input).detach();
    const Tensor f = at::exp(kept - m).unsqueeze(-1).unsqueeze(-1);
    const Tensor key = at::exp(input - m).unsqueeze(-1) * in.k.select(2, t);
    memory = f * memory + key.unsqueeze(-1) * v.select(2, t).unsqueeze(-2);
    const Tensor both = at::matmul(in.q.select(2, t).unsqueeze(-2), memory).squeeze(-2);
    h.push_back(normalised(both, m));
  }
  return {at::stack(h, 2), memory, m};
}

// Within a chunk as attention whose scores are multiplied by the gates between key and query;
// across chunks by the recurrence of their memories. A padded step has f = 1 and i = 0.
MlstmOutput mlstm_chunked(const MlstmInput& in, int64_t chunk) {
  const int64_t time = in.v.size(2);
  chunk = std::min(chunk, time);
  const auto cut = [chunk](const Tensor& x, double pad = 0.0) {  // [P, B, chunks, H, L, ..]
    return chunks_of(x, 1, chunk, pad).squeeze(3);
  };
  const Tensor q = cut(in.q), k = cut(in.k), v = cut(with_one(in.v));
  const Tensor log_forget = cut(at::log_sigmoid(in.forget));
  const Tensor gates = log_decays(log_forget) +
                       cut(in.input, -std::numeric_limits<double>::infinity()).unsqueeze(-2);
  const Tensor since = at::cumsum(log_forget, -1);     // from the chunk's start to each step
  const Tensor inside = at::amax(gates.detach(), -1);  // [.., L], the largest of each step
  const Tensor all = since.select(-1, chunk - 1), top = inside.select(-1, chunk - 1);
  const Tensor until = at::exp(gates.select(-2, chunk - 1) - top.unsqueeze(-1));
  const Tensor added = at::matmul((k * until.unsqueeze(-1)).mT(), v);  // [P, B, chunks, H, K, V+1]
  auto [memory, m] = first_state(in);
  std::vector<Tensor> memories, ms;
  for (int64_t c = 0; c < v.size(2); ++c) {
    memories.push_back(memory);
    ms.push_back(m);
    const Tensor kept = all.select(2, c) + m, largest = top.select(2, c);
    m = at::maximum(kept, largest).detach();
    const auto factor = [&, next = m](const Tensor& log) {
      return at::exp(log - next).unsqueeze(-1).unsqueeze(-1);
    };
    memory = factor(kept) * memory + factor(largest) * added.select(2, c);
  }
  const Tensor carried = since + at::stack(ms, 2).unsqueeze(-1);
  const Tensor row = at::maximum(carried.detach(), inside);
  const Tensor scores = at::matmul(q, k.mT()) * at::exp(gates - row.unsqueeze(-1));
  const Tensor both = at::matmul(scores, v) +
                      at::matmul(q, at::stack(memories, 2)) * at::exp(carried - row).unsqueeze(-1);
  const Tensor h = normalised(both, row).movedim(3, 4);  // [P, B, chunks, L, H, V]
  return {h.reshape({h.size(0), h.size(1), -1, h.size(4), h.size(5)}).narrow(2, 0, time), memory,
          m};
}

namespace {

// Of the chunks only the inputs are kept, as their scores and gates are many times larger.
MlstmOutput mlstm_cuda(const MlstmInput& in, int64_t chunk) {
  const auto run = [=](const std::vector<Tensor>& t) -> std::vector<Tensor> {
    const MlstmOutput out = mlstm_chunked(
        {wide(t[0]), wide(t[1]), wide(t[2]), wide(t[3]), wide(t[4]), t[5], t[6]}, chunk);
    return {out.h.to(t[2].scalar_type()), out.memory, out.m};
  };
  const auto out = recomputed({in.q, in.k, in.v, in.input, in.forget, in.memory, in.m}, run);
  return {out[0], out[1], out[2]};
}

}  // namespace

MlstmOutput mlstm(const MlstmInput& input, int64_t chunk) {
  if (fused_on_cuda(input.v)) return mlstm_cuda(input, chunk);
  return input.v.size(2) == 1 ? mlstm_recurrent(input) : mlstm_chunked(input, chunk);
}

}  // namespace rung
