#include "data/synthetic.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace rung {
namespace {

constexpr size_t most_orders = 16, most_candidates = 16;
constexpr size_t zipf_size = 65536;

// Running sums of weights in units of 2^-32; the last one is 2^32 exactly.
std::vector<uint64_t> limits(const std::vector<double>& weights) {
  std::vector<uint64_t> result;
  double sum = 0.0;
  for (const double weight : weights)
    result.push_back(static_cast<uint64_t>(std::llround(std::ldexp(sum += weight, 32))));
  result.back() = uint64_t{1} << 32;
  return result;
}

// The weights that the limits stand for: p is then exact for what generate() draws.
std::vector<double> weights_of(const std::vector<uint64_t>& limit) {
  std::vector<double> weights;
  uint64_t before = 0;
  for (const uint64_t value : limit) {
    weights.push_back(std::ldexp(static_cast<double>(value - before), -32));
    before = value;
  }
  return weights;
}

size_t pick(const std::vector<uint64_t>& limit, uint32_t bits) {
  size_t i = 0;
  while (bits >= limit[i]) ++i;
  return i;
}

// Shares of 65,536 slots in proportion to the weights, at least one each.
std::vector<uint16_t> zipf_table(const std::vector<double>& weights) {
  double total = 0.0;
  for (const double weight : weights) total += weight;
  const auto free = static_cast<double>(zipf_size - weights.size());
  std::vector<uint16_t> table;
  double sum = 0.0;
  for (size_t v = 0; v < weights.size(); ++v) {
    sum += weights[v] / total;
    const size_t end = v + 1 + static_cast<size_t>(std::llround(free * sum));
    table.resize(v + 1 == weights.size() ? zipf_size : end, static_cast<uint16_t>(v));
  }
  return table;
}

}  // namespace

struct SyntheticLanguage::Sight {
  size_t orders = 0;  // in sight
  std::array<uint64_t, most_orders> hash{};
  int32_t follower = -1;
};

SyntheticLanguage::SyntheticLanguage(const SyntheticConfig& config, uint64_t seed)
    : config_(config), seed_(seed) {
  const auto vocabulary = static_cast<size_t>(config.vocabulary);
  const auto orders = static_cast<size_t>(config.orders);
  std::vector<double> weight(vocabulary);
  for (size_t v = 0; v < vocabulary; ++v)
    weight[v] = std::pow(static_cast<double>(v + 1), -config.zipf);
  zipf_ = zipf_table(weight);
  unigram_.assign(vocabulary, 0.0);
  for (const uint16_t token : zipf_) unigram_[token] += 1.0 / zipf_size;
  for (const double q : unigram_) unigram_log_ += q * std::log(q);

  std::vector<double> spread;
  double total = 0.0;
  for (int64_t j = 0; j < config.candidates; ++j)
    total += spread.emplace_back(std::pow(static_cast<double>(j + 1), -config.spread));
  for (double& value : spread) value /= total;
  candidate_limit_ = limits(spread);
  candidate_weight_ = weights_of(candidate_limit_);

  std::vector<double> share{config.base};
  double sum = 0.0;
  for (size_t k = 1; k <= orders; ++k) sum += std::pow(config.decay, static_cast<double>(k));
  for (size_t k = 1; k <= orders; ++k)
    share.push_back((1.0 - config.base) * std::pow(config.decay, static_cast<double>(k)) / sum);
  for (size_t seen = 0; seen <= orders; ++seen) {
    std::vector<double> part(share.begin(), share.begin() + static_cast<std::ptrdiff_t>(seen) + 1);
    double all = 0.0;
    for (const double value : part) all += value;
    for (double& value : part) value /= all;
    order_limit_.push_back(limits(part));
    weights_.push_back(weights_of(order_limit_.back()));
  }

  for (size_t distance = 0; distance < orders; ++distance) {
    const double scale = std::pow(config.classes, static_cast<double>(distance));
    const auto classes =
        std::max<uint64_t>(2, static_cast<uint64_t>(static_cast<double>(vocabulary) / scale));
    Random names(seed, "synthetic-classes", distance), keys(seed, "synthetic-hash", distance);
    std::vector<uint64_t> key(classes);
    for (uint64_t& value : key) value = keys.bits64();
    for (size_t v = 0; v < vocabulary; ++v)
      token_hash_.push_back(key[classes >= vocabulary ? v : names.below(classes)]);
  }
}

int32_t SyntheticLanguage::candidate(uint64_t context, size_t order, size_t j) const {
  const uint64_t salt = (order * most_candidates + j + 1) * 0x9e3779b97f4a7c15ull;
  return zipf_[mix_bits(context + salt) >> 48];
}

void SyntheticLanguage::look(std::span<const int32_t> shown, Sight& sight) const {
  const size_t seen = shown.size(), vocabulary = unigram_.size();
  sight.orders = std::min(seen, static_cast<size_t>(config_.orders));
  uint64_t hash = 0;
  for (size_t k = 0; k < sight.orders; ++k) {
    hash += token_hash_[k * vocabulary + static_cast<size_t>(shown[seen - 1 - k])];
    sight.hash[k] = hash;
  }
  sight.follower = -1;
  if (config_.transition <= 0.0 || seen == 0) return;
  for (size_t t = seen - 1; t-- > 0;)
    if (shown[t] == shown[seen - 1]) {
      sight.follower = shown[t + 1];
      return;
    }
}

void SyntheticLanguage::generate(const char* purpose, uint64_t index,
                                 std::span<int32_t> out) const {
  const uint64_t key = mix_bits(seed_ + 0x9e3779b97f4a7c15ull);
  const uint64_t stream = mix_bits(hash_name(purpose) + mix_bits(index + 1));
  const auto copy_limit = static_cast<uint64_t>(std::ldexp(config_.transition, 32));
  Sight sight;
  for (size_t t = 0; t < out.size(); ++t) {
    const std::array<uint32_t, 4> bits = philox(key, t, stream);
    look(out.first(t), sight);
    if (sight.follower >= 0 && bits[0] < copy_limit) {
      out[t] = sight.follower;
      continue;
    }
    const size_t k = pick(order_limit_[sight.orders], bits[1]);
    out[t] = k == 0 ? zipf_[bits[3] >> 16]
                    : candidate(sight.hash[k - 1], k, pick(candidate_limit_, bits[2]));
  }
}

void SyntheticLanguage::probabilities(std::span<const int32_t> shown, std::span<double> out) const {
  Sight sight;
  look(shown, sight);
  const double copied = sight.follower >= 0 ? config_.transition : 0.0;
  const std::vector<double>& weight = weights_[sight.orders];
  for (size_t v = 0; v < unigram_.size(); ++v) out[v] = (1.0 - copied) * weight[0] * unigram_[v];
  for (size_t k = 1; k <= sight.orders; ++k)
    for (size_t j = 0; j < candidate_weight_.size(); ++j)
      out[static_cast<size_t>(candidate(sight.hash[k - 1], k, j))] +=
          (1.0 - copied) * weight[k] * candidate_weight_[j];
  if (sight.follower >= 0) out[static_cast<size_t>(sight.follower)] += copied;
}

void SyntheticLanguage::losses(std::span<const int32_t> window, std::span<double> out) const {
  Sight sight;
  for (size_t t = 1; t < window.size(); ++t) {
    look(window.first(t), sight);
    const std::vector<double>& weight = weights_[sight.orders];
    double p = weight[0] * unigram_[static_cast<size_t>(window[t])];
    for (size_t k = 1; k <= sight.orders; ++k)
      for (size_t j = 0; j < candidate_weight_.size(); ++j)
        if (candidate(sight.hash[k - 1], k, j) == window[t]) p += weight[k] * candidate_weight_[j];
    if (sight.follower >= 0)
      p = (1.0 - config_.transition) * p + (sight.follower == window[t] ? config_.transition : 0.0);
    out[t - 1] = -std::log(p);
  }
}

void SyntheticLanguage::entropies(std::span<const int32_t> window, std::span<double> out) const {
  Sight sight;
  std::vector<double> extra(unigram_.size(), 0.0);  // probability beyond the scaled unigram's
  std::vector<int32_t> touched;
  const auto add = [&](int32_t token, double p) {
    if (extra[static_cast<size_t>(token)] == 0.0) touched.push_back(token);
    extra[static_cast<size_t>(token)] += p;
  };
  for (size_t t = 1; t <= out.size(); ++t) {
    look(window.first(t), sight);
    const double copied = sight.follower >= 0 ? config_.transition : 0.0;
    const std::vector<double>& weight = weights_[sight.orders];
    touched.clear();
    for (size_t k = 1; k <= sight.orders; ++k)
      for (size_t j = 0; j < candidate_weight_.size(); ++j)
        add(candidate(sight.hash[k - 1], k, j), (1.0 - copied) * weight[k] * candidate_weight_[j]);
    if (copied > 0.0) add(sight.follower, copied);
    // sum over all tokens of s q ln(s q), then the tokens that have more than that.
    const double scale = (1.0 - copied) * weight[0];
    double sum = scale * (std::log(scale) + unigram_log_);
    for (const int32_t token : touched) {
      const auto v = static_cast<size_t>(token);
      const double before = scale * unigram_[v], after = before + extra[v];
      sum += after * std::log(after) - before * std::log(before);
      extra[v] = 0.0;
    }
    out[t - 1] = -sum;
  }
}

}  // namespace rung
