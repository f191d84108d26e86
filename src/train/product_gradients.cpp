#include "train/product_gradients.h"

#include <algorithm>

namespace rung {

namespace {

bool names(const std::vector<size_t>& tensors, size_t tensor) {
  return std::find(tensors.begin(), tensors.end(), tensor) != tensors.end();
}

}  // namespace

std::vector<size_t> written_first(const Decoder& d) {
  constexpr int64_t narrowest = 128;
  std::vector<size_t> tensors;
  if (d.model.width < narrowest || d.model.position == "cope") return tensors;
  const auto add = [&](const Part& part, size_t start) {
    if (!part.ternary || part.recurrent) return;  // other ops than linear() read its maps
    for (size_t k = 0; k < part.describe(d.model).size(); ++k) {
      const TensorSpec& spec = d.layout.tensors[start + k];
      if (spec.role == Role::hidden && !spec.frozen) tensors.push_back(start + k);
    }
  };
  for (size_t layer = 0; layer < d.mixers.size(); ++layer) {
    add(*d.mixers[layer], d.mixer_start[layer]);
    add(*d.ffns[layer], d.ffn_start[layer]);
  }
  if (d.readout && !d.layout.tensors[d.readout].frozen) tensors.push_back(d.readout);
  return tensors;
}

std::vector<size_t> half_gradients(const Decoder& d, const RunConfig& config) {
  constexpr int64_t widest_narrow = 128;  // its own kernels add to gradients in fp32
  if (config.train.gradients != "bf16" || d.model.width <= widest_narrow) return {};
  std::vector<size_t> tensors = written_first(d);
  std::erase(tensors, d.readout);
  return tensors;
}

std::vector<std::pair<int64_t, int64_t>> all_but(const Layout& layout,
                                                 const std::vector<int64_t>& begin,
                                                 const std::vector<size_t>& tensors) {
  std::vector<std::pair<int64_t, int64_t>> runs;
  bool goes_on = false;
  for (size_t t = 0; t < layout.tensors.size(); ++t) {
    if (layout.tensors[t].frozen) continue;
    const bool listed = names(tensors, t);
    const int64_t end = begin[t] + layout.tensors[t].size();
    if (!listed && goes_on)
      runs.back().second = end - runs.back().first;
    else if (!listed)
      runs.emplace_back(begin[t], end - begin[t]);
    goes_on = !listed;
  }
  return runs;
}

}  // namespace rung
