// Small configurations and token sources that the tests of models and training share.
#pragma once
#include <algorithm>
#include <memory>
#include <vector>

#include "core/random.h"
#include "data/source.h"

namespace rung::test {

// Width 24, two layers: every fused kernel meets a ragged end.
inline RunConfig tiny_config() {
  RunConfig config;
  config.parametrisation = "standard";
  config.base_width = 16;
  config.base_depth = 2;
  config.model.width = 24;
  config.model.depth = 2;
  config.model.context = 18;
  config.model.ffn_ratio = 2.5;
  config.train.batch_tokens = 72;
  config.train.tokens = 72 * 20;
  config.train.lr = 0.01;
  config.train.epsilon = 1e-8;
  config.train.beta2 = 0.95;
  return config;
}

// Windows of a language in which each token follows from the one before it, up to noise.
class ChainSource : public TokenSource {
 public:
  explicit ChainSource(int64_t vocabulary = 13, int64_t windows = 64)
      : vocabulary_(vocabulary), windows_(windows) {}
  int64_t vocabulary() const override { return vocabulary_; }
  int64_t sequences(int64_t) const override { return windows_; }
  void read(int64_t index, std::span<int32_t> out) const override {
    Random random(9, "chain", static_cast<uint64_t>(index));
    uint64_t token = random.below(static_cast<uint64_t>(vocabulary_));
    for (int32_t& value : out) {
      value = static_cast<int32_t>(token);
      token = (random.uniform() < 0.1 ? random.bits64() : 5 * token + 2) %
              static_cast<uint64_t>(vocabulary_);
    }
  }
  HeldOut held_out(int64_t context, int64_t tokens) const override {
    HeldOut held{.context = context};
    for (int64_t i = 0; i < tokens / context; ++i) {
      std::vector<int32_t> window(static_cast<size_t>(context + 1));
      read(100000 + i, window);
      held.tokens.insert(held.tokens.end(), window.begin(), window.end());
      held.document.insert(held.document.end(), static_cast<size_t>(context),
                           static_cast<int32_t>(i / 2));
    }
    return held;
  }
  std::vector<int32_t> encode(const std::string&) const override { return {}; }
  std::string decode(std::span<const int32_t>) const override { return {}; }
  double entropy(int64_t) const override { return std::nan(""); }
  Json describe() const override { return {}; }

 private:
  int64_t vocabulary_, windows_;
};

// The given windows, [count, context + 1].
class FixedSource : public ChainSource {
 public:
  FixedSource(int64_t vocabulary, std::vector<std::vector<int32_t>> windows)
      : ChainSource(vocabulary, static_cast<int64_t>(windows.size())),
        windows_(std::move(windows)) {}
  void read(int64_t index, std::span<int32_t> out) const override {
    std::copy_n(windows_[static_cast<size_t>(index)].begin(), out.size(), out.begin());
  }

 private:
  std::vector<std::vector<int32_t>> windows_;
};

}  // namespace rung::test
