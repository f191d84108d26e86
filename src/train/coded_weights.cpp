#include "train/coded_weights.h"

namespace rung {

std::vector<size_t> coded_weights(const Decoder& d, const RunConfig& config) {
  std::vector<size_t> tensors;
  if (config.train.optimizer != "adamw") return tensors;
  for (size_t i = 0; i < d.layout.tensors.size(); ++i) {
    const TensorSpec& spec = d.layout.tensors[i];
    if (!spec.frozen && spec.formats && spec.formats->hardware && spec.shape.size() == 2 &&
        spec.shape[0] % 16 == 0 && spec.shape[1] % 16 == 0)
      tensors.push_back(i);
  }
  return tensors;
}

}  // namespace rung
