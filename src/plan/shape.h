// A decoder's shape and what it counts: its parameters, FLOPs a token and bytes, exactly, from the
// same tensors that Rung trains (norms without gains). tests/study/shape_count_test.cpp holds this
// list to the decoder's own.
#pragma once
#include <cstdint>
#include <vector>

#include "scaling/count.h"
#include "scaling/tensors.h"

namespace rung {

// What is common to all shapes under consideration.
struct ShapeOptions {
  int64_t vocabulary = 0;   // 0: unknown; embedding and readout are then not counted
  int64_t context = 0;      // 0: unknown; attention's FLOPs are then not counted
  int64_t head_size = 0;    // 0: 64 below a width of 1024, else 128
  int64_t kv_heads = 0;     // 0: as many as query heads
  double ffn_ratio = 3.0;   // hidden units of the feed-forward layer over width
  bool gated = true;        // feed-forward layers with a gate: three matrices instead of two
  bool tied = false;        // one matrix is embedding and readout
  int64_t experts = 1;      // feed-forward layers of which a token visits one
  int64_t granularity = 1;  // pieces that each is cut into; the router tells them apart
};

struct ModelShape {
  int64_t width = 0, depth = 0, heads = 0, head_size = 0;
  int64_t experts = 1;
  double N = 0.0, N_total = 0.0;  // active without embeddings; all that is stored
  double N_router = 0.0;          // of N: what laws of mixtures leave out of theirs
  double flops_per_token = 0.0;   // of training: three forward passes
  double aspect() const { return static_cast<double>(width) / static_cast<double>(depth); }
};

// Writes a choice of experts and granularity (0: none) into the options.
void choose_experts(double experts, double granularity, ShapeOptions& options);

std::vector<TensorSpec> decoder_tensors(int64_t width, int64_t depth, const ShapeOptions& options);

// Usage error for a width that its heads do not divide.
ModelShape make_shape(int64_t width, int64_t depth, const ShapeOptions& options);

// The head size of a width, and the multiple that hardware likes its width to be: 128, or the head
// size where that is smaller.
int64_t head_size_of(int64_t width, const ShapeOptions& options);
int64_t width_step(int64_t width, const ShapeOptions& options);

// A block's active parameters over width^2, as wide keys and values as queries.
double block_factor(const ShapeOptions& options);

// Share of them that lies in its feed-forward layer.
double ffn_share(const ShapeOptions& options);

}  // namespace rung
