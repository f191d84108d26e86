// Muon: the momentum of every hidden matrix, orthogonalised; AdamW for all other tensors.
// Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
#pragma once
#include <optional>

#include "optim/optimizer.h"

namespace rung {

std::vector<StateSpec> muon_state(const Layout& layout);

// w -= s lr sqrt(max(1, out/in)) / A O, O the orthogonalised Nesterov momentum (0.95). Dividing by
// the use's multiplier A moves the effective weight A w alike under every parametrisation.
void muon_step(const StepInput& input);

// The hidden matrices alone, those of one shape at once: how a GPU takes them.
void muon_matrices(const StepInput& input);

// Singular values of each matrix of x [count, m, n] drawn towards 1 by five Newton-Schulz steps, in
// x's own type or another.
at::Tensor orthogonalise(const at::Tensor& x, std::optional<at::ScalarType> type = std::nullopt);

}  // namespace rung
