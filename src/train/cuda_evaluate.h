// Held-out losses on a GPU.
#pragma once
#include "train/cuda_weights.h"

namespace rung {

// Every member's losses by `weights` on all windows, `chunk` of them at a time, on the present
// stream. `ropes` are those of the windows' length.
std::vector<Evaluation> evaluate_on_gpu(const Population& population, const CudaWeights& weights,
                                        const HeldOut& held_out, const Ropes& ropes, int64_t chunk);

}  // namespace rung
