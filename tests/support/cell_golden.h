// A recurrent cell against the golden of an independent implementation.
#pragma once
#include <utility>
#include <vector>

#include "support/goldens.h"

namespace rung::test {

using NamedTensors = std::vector<std::pair<const char*, Tensor>>;

// Outputs by their names in the golden, then the gradients of `leaves` of the sum that its script
// took: output i times sines of step 0.3 - 0.1 i.
inline void check_cell(const Json& golden, const NamedTensors& outputs,
                       const std::vector<std::pair<const char*, Tensor*>>& leaves) {
  Tensor sum;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto& [name, out] = outputs[i];
    CAPTURE(name);
    CHECK(distance(out, golden_tensor(golden.at(name), out)) < 1e-12);
    const Tensor part = (out * sines(out.sizes().vec(), 0.3 - 0.1 * static_cast<double>(i))).sum();
    sum = sum.defined() ? sum + part : part;
  }
  sum.backward();
  for (const auto& [name, leaf] : leaves) {
    CAPTURE(name);
    CHECK(distance(leaf->grad(), golden_tensor(golden.at(name), *leaf)) < 1e-10);
  }
}

}  // namespace rung::test
