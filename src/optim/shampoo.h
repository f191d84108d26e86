// Shampoo: every hidden matrix's step between inverse fourth roots of two Kronecker factors; AdamW
// for all other tensors.
//   L <- beta2 L + (1 - beta2) G G^T,  R <- beta2 R + (1 - beta2) G^T G,  M <- beta1 M + (1 -
//   beta1) G W -= s (lr C P_L m P_R + decay W),  P_L = (l + 1e-6 |l| Id)^(-1/4), P_R likewise of r,
// m, l and r being M, L and R corrected for their start at 0, and |l| the largest eigenvalue. Where
// gradients stay what they are, P_L m P_R is U V^T of m = U S V^T: a step of Muon's size, of which
// the C of matrix steps is true.
// Source: Gupta et al. 2018, "Shampoo: Preconditioned Stochastic Tensor Optimization", algorithm 1,
// with averages in the place of sums and roots that are renewed every ten steps, as in Anil et al.
// 2020, "Scalable Second Order Optimization for Deep Learning"; without its grafting.
#pragma once
#include "optim/optimizer.h"

namespace rung {

// Beside Adam's moments, for matrix k of [m, n]: L.k and P_L.k [m m], R.k and P_R.k [n n].
std::vector<StateSpec> shampoo_state(const Layout& layout);
void shampoo_step(const StepInput& input);

}  // namespace rung
