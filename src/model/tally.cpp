#include "model/tally.h"

#include <algorithm>
#include <cmath>

namespace rung {

void Tally::add(int layer, std::string_view name, const at::Tensor& amounts, int64_t tokens) {
  constexpr double unit = 1 << 20;
  add_rounded(layer, name,
              amounts.detach().to(at::kCPU, at::kDouble).mul(unit).round_().div_(unit).contiguous(),
              tokens);
}

void Tally::add(const Tally& other) {
  for (const Entry& e : other.entries_) add_rounded(e.layer, e.name, e.total, e.tokens);
}

void Tally::add_rounded(int layer, std::string_view name, const at::Tensor& amounts,
                        int64_t tokens) {
  for (Entry& e : entries_)
    if (e.layer == layer && e.name == name) {
      e.total = e.total + amounts;
      e.tokens += tokens;
      return;
    }
  const auto after = std::upper_bound(entries_.begin(), entries_.end(), layer,
                                      [](int value, const Entry& e) { return value < e.layer; });
  entries_.insert(after, {layer, std::string(name), amounts, tokens});
}

std::vector<Statistic> Tally::statistics(int64_t member) const {
  std::vector<Statistic> result;
  for (const Entry& e : entries_) {
    const int64_t count = e.total.size(1);
    const double* amount = e.total.const_data_ptr<double>() + member * count;
    if (count == 1) {
      result.push_back({e.layer, e.name, amount[0] / static_cast<double>(e.tokens)});
      continue;
    }
    double total = 0.0, used = 0.0, divergence = 0.0;
    for (int64_t i = 0; i < count; ++i) {
      total += amount[i];
      used += amount[i] > 0.0 ? 1.0 : 0.0;
    }
    const double n = static_cast<double>(count);
    for (int64_t i = 0; i < count; ++i)
      if (const double share = amount[i] / total; share > 0.0)
        divergence += share * std::log(share * n);
    result.push_back({e.layer, e.name + "_used", used / n});
    result.push_back({e.layer, e.name + "_unevenness", divergence});
  }
  return result;
}

}  // namespace rung
