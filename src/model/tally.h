// What parts report of an evaluation: sums over its tokens, by layer and name.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

namespace rung {

struct Statistic {
  int layer = 0;
  std::string name;
  double value = 0.0;
};

class Tally {
 public:
  // Adds a call's amounts [P, n] over `tokens` tokens. They are rounded to 2^-20, so that totals
  // are exact and do not depend on the order of the calls.
  void add(int layer, std::string_view name, const at::Tensor& amounts, int64_t tokens);
  void add(const Tally& other);

  // Of one member. Shares of many (n > 1): NAME_used, the fraction above zero, and NAME_unevenness,
  // their Kullback-Leibler divergence from equal shares in nats (He 2024, arXiv 2407.04153). Single
  // amounts: their mean over tokens.
  std::vector<Statistic> statistics(int64_t member) const;

 private:
  struct Entry {
    int layer;
    std::string name;
    at::Tensor total;  // [P, n], fp64
    int64_t tokens;
  };
  void add_rounded(int layer, std::string_view name, const at::Tensor& amounts, int64_t tokens);
  std::vector<Entry> entries_;  // by layer, then in the order of a layer's own calls
};

}  // namespace rung
