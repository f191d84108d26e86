// The elementwise gated recurrence h_t = f_t h_{t-1} + (1 - f_t) c_t (ops/scan.h): a thread a
// channel of a sequence, which walks the steps with its state in a register.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

struct ScanShape {
  int64_t sequences, time, channels;
};
// f [sequences, time, channels] and the first state [sequences, channels] (may be null: zero) are
// fp32; c and h of `type`.
void gated_scan_forward(Type type, const ScanShape& shape, const float* f, const void* c,
                        const float* first, void* h, Stream stream);
// From h as it was written and its gradient to those of f (fp32) and c.
void gated_scan_backward(Type type, const ScanShape& shape, const float* f, const void* c,
                         const float* first, const void* h, const void* dh, float* df, void* dc,
                         Stream stream);

}  // namespace rung::cuda
