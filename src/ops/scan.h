// The elementwise gated recurrence of MLGRU (Zhu et al. 2024, arXiv 2406.02528).
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

// h_t = f_t h_{t-1} + (1 - f_t) c_t. f, c [P, B, T, D], `first` [P, B, D] the state before the
// first step, which gets no gradient (undefined: zero) -> h [P, B, T, D] of c's type, beside which
// f may be fp32.
at::Tensor gated_scan(const at::Tensor& f, const at::Tensor& c, const at::Tensor& first);
// Plain twin: all steps at once, in log2 T rounds of an associative scan.
at::Tensor gated_scan_plain(const at::Tensor& f, const at::Tensor& c, const at::Tensor& first);

}  // namespace rung
