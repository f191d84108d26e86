// Work that the rest of a pass does not wait for, on a second stream: sums of weights' gradients
// and the order of the tokens. A narrow model's kernels are too small to fill a device one after
// the other; in a captured step this becomes a branch of its graph that runs beside the chain. A
// wide model's fill it, but for those that put the tokens in order, which run beside all the same.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

struct CUevent_st;

namespace rung::cuda {

// A pass of all members whose stream has so many numbers (rows times width) leaves a device room
// for it.
constexpr int64_t most_numbers_beside = 16'777'216;
// Bytes of what it reads that are kept meanwhile; then the main stream waits for the oldest.
constexpr int64_t most_kept_beside = 33'554'432;

using Mark = CUevent_st*;  // the end of some work; null where there is nothing to wait for

// Does `work` beside the present stream, behind all that it was given so far, or at once where it
// has no company (company.h). `read`: what must stay as it is meanwhile; `written`: what it adds
// to.
Mark beside(std::vector<at::Tensor> read, const at::Tensor& written,
            const std::function<void()>& work);
// Whether the present stream has company that takes sums.
bool is_accompanied();
// The present stream waits for a mark, or for all work beside it that adds to `written`.
void wait_for(Mark mark);
void wait_for_writers(const at::Tensor& written);

}  // namespace rung::cuda
