// Numbers as another format holds them: rounding with scales by tensor, row or block.
#pragma once
#include <ATen/core/Tensor.h>

#include "core/quantiser.h"

namespace rung {

// round(x scale) / scale of x [P, R, C], without recording. Scales: one a member (`tensor`), a row
// (`channel`), or so many neighbours of a row (`block`). In bf16 the result is rounded once more
// unless scales are powers of two.
at::Tensor quantise(const at::Tensor& x, const Quantiser& q, uint64_t key = 0);
at::Tensor quantise_plain(const at::Tensor& x, const Quantiser& q, uint64_t key = 0);

// Its parts, for what rounds otherwise (optim/moments.h): the scale that each of the last axis of
// `groups` shares; x onto the grid, up where `draws` in [0, 1) fill up what lies below (undefined:
// to the nearest); and splitmix64's finaliser of 64-bit numbers.
at::Tensor scales_plain(const at::Tensor& groups, const Quantiser& q);
at::Tensor round_to_grid_plain(const at::Tensor& x, const Quantiser& q, const at::Tensor& draws);
at::Tensor mix_plain(const at::Tensor& x);

}  // namespace rung
