// A cheap learner: interpolated n-gram counts with absolute discounting, orders 0 to 6, over
// windows of a language.
#pragma once
#include <cmath>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "core/random.h"
#include "data/synthetic.h"

namespace rung {

struct LearningPoint {
  double tokens = 0.0,
         excess = 0.0;  // excess: nats per token over -ln p of the same held-out tokens
};

// p_k(x | c) = max(n(c x) - d, 0) / n(c) + d types(c) / n(c) p_{k-1}(x | shorter c) (Ney, Essen,
// Kneser 1994).
class NgramLearner {
 public:
  NgramLearner(int64_t vocabulary, size_t orders) : vocabulary_(vocabulary), seen_(orders + 1) {}
  void learn(std::span<const int32_t> window) {
    for (size_t t = 0; t < window.size(); ++t)
      for (size_t k = 0; k <= std::min(t, seen_.size() - 1); ++k) {
        const uint64_t context = key(window.subspan(t - k, k));
        Context& c = seen_[k][context];
        ++c.count;
        if (++pairs_[context * 0x9e3779b97f4a7c15ull + static_cast<uint64_t>(window[t]) + 1] == 1)
          ++c.types;
      }
  }
  double probability(std::span<const int32_t> shown, int32_t token) const {
    double p = 1.0 / static_cast<double>(vocabulary_);
    for (size_t k = 0; k <= std::min(shown.size(), seen_.size() - 1); ++k) {
      const uint64_t context = key(shown.last(k));
      const auto c = seen_[k].find(context);
      if (c == seen_[k].end()) break;
      const auto pair =
          pairs_.find(context * 0x9e3779b97f4a7c15ull + static_cast<uint64_t>(token) + 1);
      const double count = pair == pairs_.end() ? 0.0 : pair->second;
      p = (std::max(count - discount, 0.0) + discount * c->second.types * p) / c->second.count;
    }
    return p;
  }

 private:
  static constexpr double discount = 0.8;
  struct Context {
    double count = 0.0, types = 0.0;
  };
  static uint64_t key(std::span<const int32_t> context) {
    uint64_t hash = context.size() + 1;
    for (const int32_t token : context)
      hash = mix_bits(hash + 0x9e3779b97f4a7c15ull * static_cast<uint64_t>(token + 1));
    return hash;
  }
  int64_t vocabulary_;
  std::vector<std::unordered_map<uint64_t, Context>> seen_;
  std::unordered_map<uint64_t, float> pairs_;
};

inline std::vector<LearningPoint> learning_curve(const SyntheticLanguage& language, size_t context,
                                                 const std::vector<int64_t>& tokens) {
  NgramLearner learner(language.config().vocabulary, 4);
  std::vector<int32_t> window(context + 1);
  std::vector<double> loss(context);
  std::vector<LearningPoint> curve;
  int64_t learned = 0;
  for (const int64_t goal : tokens) {
    for (; learned < goal; learned += static_cast<int64_t>(context)) {
      language.generate("synthetic-train", static_cast<uint64_t>(learned) / context, window);
      learner.learn(window);
    }
    double excess = 0.0, targets = 0.0;
    for (uint64_t i = 0; i < 600; ++i) {
      language.generate("synthetic-held-out", i, window);
      language.losses(window, loss);
      for (size_t t = 1; t < window.size(); ++t, ++targets)
        excess +=
            -std::log(learner.probability(std::span<const int32_t>(window).first(t), window[t])) -
            loss[t - 1];
    }
    curve.push_back({static_cast<double>(learned), excess / targets});
  }
  return curve;
}

}  // namespace rung
