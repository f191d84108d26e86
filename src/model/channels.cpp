#include "model/channels.h"

#include <cmath>

namespace rung {

TensorSpec per_channel(std::string name, std::vector<int64_t> shape, int64_t fan_in, Start start,
                       bool decays) {
  return {.name = std::move(name),
          .role = Role::channel,
          .shape = shape,
          .fan_in = fan_in,
          .fan_out = shape.front(),
          .start = std::move(start),
          .decays = decays};
}

double start_filter(const TensorSpec& spec, int64_t, Random& random) {
  return (2.0 * random.uniform() - 1.0) / std::sqrt(static_cast<double>(spec.fan_in));
}
double start_map(const TensorSpec& spec, int64_t, Random& random) {
  return random.normal() / std::sqrt(static_cast<double>(spec.fan_in));
}
double start_one(const TensorSpec&, int64_t, Random&) {
  return 1.0;
}

}  // namespace rung
