// AdamW over the arena: w -= s (lr C m_hat / (sqrt(v_hat) + eps) + decay w).
#pragma once
#include "optim/optimizer.h"

namespace rung {

std::vector<StateSpec> adamw_state(const Layout& layout);
void adamw_step(const StepInput& input);
#ifdef RUNG_CUDA
// The tensors that are no hidden matrices alone, beside a rule for those.
void adamw_others_cuda(const StepInput& input);
#endif
void adamw_step_plain(const StepInput& input);

// One tensor of the layout, for optimizers whose rule holds for other roles only.
void adamw_tensor(const StepInput& input, size_t index);

}  // namespace rung
