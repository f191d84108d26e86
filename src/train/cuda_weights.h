// What a step on a GPU multiplies by, where it sums gradients, and how ops see both.
#pragma once
#include <optional>
#include <utility>
#include <vector>

#include "train/population.h"

namespace rung {

struct CudaWeights {
  at::Tensor compute;  // bf16 [P, n]; undefined where passes read the masters
  // E4M3 [P, trained] of the tensors `coded`, which AdamW writes instead of their part of
  // `compute`; undefined where there are none.
  at::Tensor codes;
  std::vector<size_t> coded;
  at::Tensor slots;  // make_slots, with the codes' scales
  // Gradients lie as the weights do, fp32 [P, trained], or in two buffers.
  at::Tensor gradient;
  std::optional<GradientArena> split;
  std::vector<Weight> bound;
  std::vector<at::Tensor> blank;                     // gradients that products write over
  std::vector<std::pair<int64_t, int64_t>> cleared;  // the others' elements: begin and count

  const GradientArena* two_buffers() const { return split ? &*split : nullptr; }
  // The buffer of gradients in fp32.
  const at::Tensor& wide() const { return split ? split->wide : gradient; }
};

// `half`: passes compute in bf16. `at_once`: one pass takes a step's batch, so that products may
// leave gradients in bf16; sums of several stay in fp32.
CudaWeights make_cuda_weights(const Population& population, bool half, bool at_once);
// What passes multiply by, from the masters.
void round_weights(const Population& population, const CudaWeights& weights);
// Gradients of sparse tensors are cut to their masks.
void mask_gradients(const Population& population, const CudaWeights& weights);

}  // namespace rung
