// Losses of which exponentials stand in the logits' place (streamed_loss.h, powers_loss.h): what
// both ask of their operands, and rows in chunks.
#pragma once
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <utility>

#include "ops/cuda/fused.h"
#include "ops/cuda/hopper/loss_chunk.h"
#include "ops/cuda/hopper/streamed_rows.h"
#include "ops/cuda/narrow.h"
#include "ops/linear.h"

namespace rung::cuda {

inline int64_t vocabulary_of(const Weight& weight, const LossOptions& o) {
  return o.vocabulary ? o.vocabulary : weight.value.size(1);
}

// x [members, rows, width] on a Hopper device; shapes aside.
inline bool takes_exponentials(const at::Tensor& x, const Weight& weight, const LossOptions& o) {
  return is_hopper() && x.scalar_type() == at::kBFloat16 && x.size(0) < 65536 && o.cap == 0.0 &&
         weight.A * o.logit > 0.0 && weight.is_plain() && block_memory() >= hopper_block_memory &&
         fills_device(x.size(0), x.size(1), processors());
}

// What a chunk's `run(adds)` works on, rows of some members: losses, and where dx is defined both
// gradients, of which the matrix's is added where it `adds`.
struct LossOperands {
  at::Tensor x, targets, losses, dx;
  Weight weight;
  const LossOptions& options;
  int64_t vocabulary;

  LossOperands members(int64_t start, int64_t count) const {
    LossOperands part = *this;
    for (at::Tensor* const t : {&part.x, &part.targets, &part.losses, &part.dx, &part.weight.value,
                                &part.weight.gradient})
      if (t->defined()) *t = t->narrow(0, start, count);
    return part;
  }
  LossOperands rows(int64_t start, int64_t count) const {
    LossOperands part = *this;
    for (at::Tensor* const t : {&part.x, &part.targets, &part.losses, &part.dx})
      if (t->defined()) *t = t->narrow(1, start, count);
    return part;
  }
  // Where the matrix's gradient is summed; undefined where it is frozen.
  at::Tensor sum() const {
    return weight.gradient.defined() ? weight.gradient.narrow(1, 0, vocabulary) : at::Tensor();
  }
};

// {losses [members, rows], dx like x where gradients are wanted}.
template <class Chunk>
std::pair<at::Tensor, at::Tensor> cross_entropy_in_chunks(const at::Tensor& x, const Weight& weight,
                                                          const at::Tensor& targets,
                                                          const LossOptions& o, bool wanted) {
  const int64_t members = x.size(0), rows = x.size(1), vocabulary = vocabulary_of(weight, o);
  const LossOperands all{x,
                         targets.contiguous(),
                         at::empty({members, rows}, x.options().dtype(at::kFloat)),
                         wanted ? at::empty_like(x) : at::Tensor(),
                         weight,
                         o,
                         vocabulary};
  const LossChunk step = wanted ? loss_chunk(members, rows, vocabulary) : LossChunk{members, rows};
  const bool over = wanted && weight.gradient.defined() && writes_over(all.sum());
  for (int64_t member = 0; member < members; member += step.members) {
    const LossOperands own = all.members(member, std::min(step.members, members - member));
    for (int64_t start = 0; start < rows; start += step.rows)
      Chunk{own.rows(start, std::min(step.rows, rows - start))}.run(!over || start > 0);
  }
  return {all.losses, all.dx};
}

}  // namespace rung::cuda
