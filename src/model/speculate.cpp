#include "model/speculate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "model/blocks.h"
#include "model/readout.h"

namespace rung {

using at::Tensor;

namespace {

// [1, 1, T] on the device of the weights.
Tensor ids_of(std::span<const int32_t> tokens, const Tensor& like) {
  Tensor ids = at::empty({1, 1, static_cast<int64_t>(tokens.size())}, at::kLong);
  std::copy(tokens.begin(), tokens.end(), ids.mutable_data_ptr<int64_t>());
  return ids.to(like.device());
}

// Logits of some positions, row by row on the host.
struct Rows {
  Tensor values;  // [positions, V]
  Rows(const Generation& g, const Tensor& hidden)
      : values(readout_logits(g.decoder, g.weights, hidden)
                   .flatten(0, 2)
                   .to(at::kCPU, at::kFloat)
                   .contiguous()) {}
  std::span<const float> operator[](int64_t row) const {
    const auto size = static_cast<size_t>(values.size(1));
    return {values.const_data_ptr<float>() + static_cast<size_t>(row) * size, size};
  }
};

// Of each further head, its likeliest token behind the last position of z. The heads read all of z,
// so that their caches see what the path's have seen.
std::vector<int32_t> draft(Generation& g, const Tensor& z, const Ropes& ropes) {
  const int64_t count = z.size(2);
  const Ropes own{part_of(ropes.global, 0, count), part_of(ropes.local, 0, count)};
  g.cache.revertible = 0;
  const Run run{.d = g.decoder, .weights = g.weights, .ropes = own, .cache = &g.cache};
  std::vector<Tensor> last;
  for (const BranchRange& head : g.decoder.heads)
    last.push_back(run_branches(run, head, z).normed.narrow(2, count - 1, 1));
  const Rows logits(g, at::cat(last, 2));
  std::vector<int32_t> drafts;
  for (size_t k = 0; k < last.size(); ++k) {
    const auto row = logits[static_cast<int64_t>(k)];
    drafts.push_back(static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  return drafts;
}

// How many more tokens a cache may see.
int64_t room_behind(const Decoder& d, size_t known) {
  if (is_recurrent(d)) return std::numeric_limits<int32_t>::max();
  return d.model.context - static_cast<int64_t>(known);
}

}  // namespace

void extend_together(Generation& g, std::span<std::vector<int32_t>> sequences, const DrawOf& draw) {
  const at::NoGradGuard off;
  const Decoder& d = g.decoder;
  const auto known = static_cast<int64_t>(sequences[0].size());
  const bool cached = room_behind(d, sequences[0].size()) >= 0;
  const int64_t start = cached ? g.cache.time : known - d.model.context;
  const Tensor& first = g.weights.front().value;
  std::vector<Tensor> rows;
  for (const std::vector<int32_t>& tokens : sequences)
    rows.push_back(ids_of(std::span(tokens).subspan(static_cast<size_t>(start)), first));
  const Ropes ropes = make_ropes(d.model, known - start, first.options(), cached ? start : 0);
  g.cache.revertible = 0;
  const Hidden hidden =
      run_path({.d = d, .weights = g.weights, .ropes = ropes, .cache = cached ? &g.cache : nullptr},
               at::cat(rows, 1));
  const Rows logits(g, hidden.normed.narrow(2, known - start - 1, 1));
  for (size_t i = 0; i < sequences.size(); ++i)
    sequences[i].push_back(draw(i, logits[static_cast<int64_t>(i)]));
  g.passes += 1;
}

void extend(Generation& g, std::vector<int32_t>& tokens, int64_t limit, const Draw& draw) {
  const at::NoGradGuard off;
  const Decoder& d = g.decoder;
  const int64_t room = room_behind(d, tokens.size());
  const bool cached = room >= 0;
  const auto taken =
      std::max<int64_t>(0, std::min({static_cast<int64_t>(g.drafts.size()), limit - 1, room}));
  const int64_t start =
      cached ? g.cache.time : static_cast<int64_t>(tokens.size()) - d.model.context;
  std::vector<int32_t> read(tokens.begin() + start, tokens.end());
  const int64_t unseen = static_cast<int64_t>(read.size());
  read.insert(read.end(), g.drafts.begin(), g.drafts.begin() + taken);
  const Tensor& first = g.weights.front().value;
  const Ropes ropes =
      make_ropes(d.model, static_cast<int64_t>(read.size()), first.options(), cached ? start : 0);
  g.cache.revertible = taken;
  Tensor z;
  const Fork fork = [&](const Tensor& stream) { return z = stream; };
  const Hidden hidden =
      run_path({.d = d, .weights = g.weights, .ropes = ropes, .cache = cached ? &g.cache : nullptr},
               ids_of(read, first), fork);
  const Rows logits(g, hidden.normed.narrow(2, unseen - 1, taken + 1));
  int64_t right = 0;
  for (;; ++right) {
    tokens.push_back(draw(logits[right]));
    if (right == taken || tokens.back() != g.drafts[static_cast<size_t>(right)]) break;
  }
  g.passes += 1, g.drafted += taken, g.accepted += right;
  g.drafts.clear();
  if (!cached) return;
  rewind(d, g.cache, taken - right);
  if (g.speculate) g.drafts = draft(g, z.narrow(2, 0, unseen + right), ropes);
}

}  // namespace rung
