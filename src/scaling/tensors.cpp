#include "scaling/tensors.h"

#include <array>

namespace rung {

std::string_view role_name(Role role) {
  static constexpr std::array<std::string_view, 10> names{
      "embedding", "hidden", "readout", "tied",   "gain",
      "bias",      "router", "lora-a",  "lora-b", "channel"};
  return names[static_cast<size_t>(role)];
}

int64_t TensorSpec::size() const {
  int64_t product = 1;
  for (const int64_t dim : shape) product *= dim;
  return product;
}

}  // namespace rung
