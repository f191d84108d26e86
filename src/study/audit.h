// What a parametrisation does to one configuration: every tensor with its role, dimensions and
// complete factors.
#pragma once
#include "config/config.h"
#include "core/json.h"

namespace rung {

// {parametrisation, alignment, N, N_total, flops_per_token, tensors[{name, role, shape, fan_in,
// fan_out, A, A_input, A_weight, B, C, decay, epsilon, uses[{use, A}]}], multipliers{...}}. A of a
// tied matrix is that of its readout. flops_per_token is the training cost. Fails (usage) on
// impossible shapes and unknown parts.
Json audit_json(const RunConfig& config, int64_t vocabulary);

}  // namespace rung
