// Losses of which exponentials stand in the logits' place (streamed_loss.h, powers_loss.h): what
// both ask of their operands, and rows in chunks.
#pragma once
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <utility>

#include "ops/cuda/fused.h"
#include "ops/cuda/hopper/streamed_rows.h"
#include "ops/cuda/narrow.h"

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

// What a chunk's `run(start, count)`, rows [start, start + count) of all members, works on: losses,
// and where dx is defined both gradients.
struct LossOperands {
  const at::Tensor &x, &targets, &losses, &dx;
  const Weight& weight;
  const LossOptions& options;
  int64_t vocabulary;
};

// {losses [members, rows], dx like x where gradients are wanted}.
template <class Chunk>
std::pair<at::Tensor, at::Tensor> cross_entropy_in_chunks(const at::Tensor& x, const Weight& weight,
                                                          const at::Tensor& targets,
                                                          const LossOptions& o, bool wanted) {
  const int64_t members = x.size(0), rows = x.size(1), vocabulary = vocabulary_of(weight, o);
  const at::Tensor index = targets.contiguous();
  const at::Tensor losses = at::empty({members, rows}, x.options().dtype(at::kFloat));
  const at::Tensor dx = wanted ? at::empty_like(x) : at::Tensor();
  // As many chunks as of logits in cross_entropy.cpp.
  constexpr int64_t most = int64_t{1} << 30;
  const int64_t chunks = wanted ? (members * rows * vocabulary + most - 1) / most : 1;
  const int64_t chunk = (rows + chunks - 1) / chunks;
  const Chunk part{{x, index, losses, dx, weight, o, vocabulary}};
  for (int64_t start = 0; start < rows; start += chunk)
    part.run(start, std::min(chunk, rows - start));
  return {losses, dx};
}

}  // namespace rung::cuda
