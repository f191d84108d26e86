// A language with known entropy: a hierarchical mixture of hashed n-grams over a Zipfian
// vocabulary.
//
//   p(x | x_1 .. x_t) = (1 - g) sum_{k=0}^{min(t, K)} w_k q_k(x | last k tokens) + g [x = follower]
//
// - q_0 is Zipf's law: the weight of token r is proportional to (r + 1)^-zipf, in units of 2^-16.
// - q_k, k > 0, has `candidates` tokens, drawn from q_0 by a hash of the last k tokens; the j-th
//   has a weight proportional to j^-spread.
// - w_0 = base, w_k proportional to decay^k; where fewer than K tokens are in sight, their orders
//   share all the weight.
// - follower is the token that followed the last earlier occurrence of x_t in the window;
//   g = transition where there is one, else 0: copying in context is worth learning.
//
// The token i places back enters the hash through one of vocabulary / classes^(i-1) classes
// (classes = 1: itself). Source of the idea: power-law popularity of contexts gives power-law
// learning (Hutter 2021; Michaud et al. 2023).
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rung {

struct SyntheticConfig {
  int64_t vocabulary = 256;
  int64_t orders = 6;      // K, at most 16
  int64_t candidates = 4;  // of each context, at most 16
  double decay = 0.4;
  double base = 0.1;  // w_0
  double zipf = 1.0;
  double spread = 1.0;
  double classes = 1.0;
  double transition = 0.0;  // g
};

// "synthetic", "synthetic:transition", "synthetic:vocabulary=64,orders=4,...". Fails (usage) on
// unknown knobs and values out of range. `transition` without a value is 0.25.
SyntheticConfig parse_synthetic(const std::string& path);
// The path with every knob; parses back to the same.
std::string to_string(const SyntheticConfig& config);

// Immutable; all members are safe to call from many threads.
class SyntheticLanguage {
 public:
  SyntheticLanguage(const SyntheticConfig& config, uint64_t seed);
  const SyntheticConfig& config() const { return config_; }
  // Fills `out` with a window: a pure function of (language seed, purpose, index); shorter windows
  // are its prefixes.
  void generate(const char* purpose, uint64_t index, std::span<int32_t> out) const;
  // p(x | shown) for every token x; `shown` is the window so far, `out` has one entry a token.
  void probabilities(std::span<const int32_t> shown, std::span<double> out) const;
  // -ln p(window[t] | window[0..t)) for t = 1, 2, ...: one entry fewer than the window.
  void losses(std::span<const int32_t> window, std::span<double> out) const;
  // The entropy of the next token, in nats, after window[0..t) for t = 1, ..., out.size().
  void entropies(std::span<const int32_t> window, std::span<double> out) const;

 private:
  struct Sight;  // what a position sees: hashes by order, weights, follower
  void look(std::span<const int32_t> shown, Sight& sight) const;
  int32_t candidate(uint64_t context, size_t order, size_t j) const;
  SyntheticConfig config_;
  uint64_t seed_;
  std::vector<uint16_t> zipf_;                      // token by 16 random bits
  std::vector<double> unigram_;                     // q_0
  double unigram_log_ = 0.0;                        // sum q_0 ln q_0
  std::vector<double> candidate_weight_;            // by j
  std::vector<uint64_t> candidate_limit_;           // running sum of the above, in units of 2^-32
  std::vector<std::vector<double>> weights_;        // [orders in sight][k]
  std::vector<std::vector<uint64_t>> order_limit_;  // running sums, in units of 2^-32
  std::vector<uint64_t> token_hash_;                // [distance][token]
};

}  // namespace rung
