// The mLSTM cell with what stands around it in xLSTM 7B's layer (Beck et al. 2025, arXiv
// 2503.13427), from the maps of its input:  sigmoid(o) N_H(mlstm(factor q, k, v, gates))
#pragma once
#include "ops/mlstm.h"
#include "ops/norm.h"

namespace rung {

struct GatedMlstm {
  int64_t heads, keys;  // units of a head's key
  double factor;        // on q k, positive
  NormOptions norm;     // by head
  int64_t chunk;        // as mlstm's
};

// Columns behind those of the maps that their gradient has room for where a GPU makes it: what
// made the maps may put other outputs' gradients there, and multiply all at once.
constexpr int64_t map_room = 16;

// maps [P, B, T, q k v o], of which q and k have heads x keys columns; gates [P, B, T, input
// forget], a number a head each, before exp and before the sigmoid. From a fresh state.
at::Tensor gated_mlstm(const at::Tensor& maps, const at::Tensor& gates, const Weight& gain,
                       const GatedMlstm& options);
// Plain twin.
at::Tensor gated_mlstm_plain(const at::Tensor& maps, const at::Tensor& gates, const Weight& gain,
                             const GatedMlstm& options);

// The same of four maps, q, k, v and o, from a state (undefined: zero), which is advanced.
struct MlstmState {
  at::Tensor memory, m;
};
at::Tensor gated_mlstm(const std::vector<at::Tensor>& maps, const at::Tensor& gates,
                       const Weight& gain, const GatedMlstm& options, MlstmState& state);

}  // namespace rung
