// SOAP: Adam in the eigenbasis of Shampoo's two Kronecker factors for every hidden matrix; AdamW
// for all other tensors.
// Source: Vyas et al. 2024, "SOAP: Improving and Stabilizing Shampoo using Adam", algorithm 3; the
// order of its parts as in the authors' implementation.
#pragma once
#include "optim/optimizer.h"

namespace rung {

// Beside Adam's moments, for matrix k of [m, n]: L.k and Q_L.k [m m], R.k and Q_R.k [n n].
std::vector<StateSpec> soap_state(const Layout& layout);

// A matrix's first step only measures its factors; the basis is renewed every ten steps.
void soap_step(const StepInput& input);

}  // namespace rung
