// Gradients that nobody has added to in a step yet. Where a product is the first to add, it writes
// over what is there, and the step need not clear it: neither zeros are written nor read back.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

namespace rung::cuda {

// As long as it lives, each of `gradients` ([P, rows, columns] in the arena) may hold anything
// until it is first added to. Whoever may add to one of them asks writes_over() first.
class BlankGradients {
 public:
  explicit BlankGradients(std::vector<at::Tensor> gradients);
  ~BlankGradients();
  BlankGradients(const BlankGradients&) = delete;
  BlankGradients& operator=(const BlankGradients&) = delete;
  // Clears those that nobody has added to.
  void clear_rest();

 private:
  std::vector<at::Tensor> gradients_;
};

// Whether an addition to `gradient` is to write over it: once for each that is blank. Of one that
// is blank in part, that part is cleared, and the answer is no.
bool writes_over(const at::Tensor& gradient);

}  // namespace rung::cuda
