#include "data/synthetic_source.h"

#include <cmath>
#include <future>
#include <limits>
#include <map>
#include <mutex>

#include "core/error.h"
#include "core/hash.h"

namespace rung {
namespace {

constexpr double wanted_error = 4e-4;

struct Sums {
  double sum = 0.0, square = 0.0;  // of window means
};

Sums entropy_sums(const SyntheticLanguage& language, int64_t context, int64_t begin, int64_t end) {
  Sums sums;
  std::vector<int32_t> window(static_cast<size_t>(context));
  std::vector<double> entropy(window.size());
  for (int64_t i = begin; i < end; ++i) {
    language.generate("synthetic-entropy", static_cast<uint64_t>(i), window);
    language.entropies(window, entropy);
    double mean = 0.0;
    for (const double value : entropy) mean += value;
    mean /= static_cast<double>(context);
    sums.sum += mean;
    sums.square += mean * mean;
  }
  return sums;
}

class SyntheticSource : public TokenSource {
 public:
  SyntheticSource(const SyntheticConfig& config, uint64_t seed)
      : language_(config, seed), seed_(seed), unigram_(static_cast<size_t>(config.vocabulary)) {
    std::vector<int32_t> window(1025);
    for (uint64_t i = 0; i < 512; ++i) {
      language_.generate("synthetic-unigram", i, window);
      for (const int32_t token : window) ++unigram_[static_cast<size_t>(token)];
    }
  }
  int64_t vocabulary() const override { return language_.config().vocabulary; }
  int64_t sequences(int64_t) const override { return std::numeric_limits<int64_t>::max(); }
  void read(int64_t index, std::span<int32_t> out) const override {
    if (index < 0) fail("[synthetic] There is no window {}.", index);
    language_.generate("synthetic-train", static_cast<uint64_t>(index), out);
  }
  HeldOut held_out(int64_t context, int64_t tokens) const override;
  std::vector<int32_t> encode(const std::string& text) const override;
  std::string decode(std::span<const int32_t> tokens) const override {
    return fmt::format("{}", fmt::join(tokens, " "));
  }
  double entropy(int64_t context) const override {
    const std::lock_guard lock(mutex_);
    if (!entropy_.contains(context)) entropy_[context] = known_entropy(language_, context);
    return entropy_[context].value;
  }
  Json describe() const override {
    return Json{{"path", to_string(language_.config())},
                {"tokenizer", "synthetic"},
                {"vocabulary", vocabulary()},
                {"language_seed", seed_},
                {"tokens", nullptr}};
  }

 private:
  SyntheticLanguage language_;
  uint64_t seed_;
  std::vector<int64_t> unigram_;
  mutable std::mutex mutex_;
  mutable std::map<int64_t, KnownEntropy> entropy_;
};

HeldOut SyntheticSource::held_out(int64_t context, int64_t tokens) const {
  if (context < 1) fail_usage("[synthetic] The context must be positive. Received {}.", context);
  HeldOut result;
  result.context = context;
  const int64_t windows = std::max<int64_t>(1, tokens / context);
  const auto stride = static_cast<size_t>(context + 1);
  result.tokens.resize(static_cast<size_t>(windows) * stride);
  std::vector<double> loss(static_cast<size_t>(context));
  double total = 0.0, entropy = 0.0, unigram = 0.0;
  for (const int64_t count : unigram_) total += static_cast<double>(count + 1);
  for (int64_t i = 0; i < windows; ++i) {
    const auto window = std::span(result.tokens).subspan(static_cast<size_t>(i) * stride, stride);
    language_.generate("synthetic-held-out", static_cast<uint64_t>(i), window);
    language_.losses(window, loss);
    for (size_t t = 1; t < stride; ++t) {
      entropy += loss[t - 1];
      unigram -=
          std::log(static_cast<double>(unigram_[static_cast<size_t>(window[t])] + 1) / total);
    }
    result.document.insert(result.document.end(), static_cast<size_t>(context),
                           static_cast<int32_t>(i));
  }
  const auto targets = static_cast<double>(windows * context);
  result.unigram_loss = unigram / targets;
  result.entropy = entropy / targets;
  const auto* bytes = reinterpret_cast<const char*>(result.tokens.data());
  result.sha256 = sha256(std::string_view(bytes, result.tokens.size() * sizeof(int32_t)));
  return result;
}

std::vector<int32_t> SyntheticSource::encode(const std::string& text) const {
  std::vector<int32_t> tokens;
  size_t at = 0;
  for (;;) {
    at = text.find_first_not_of(" \t\r\n", at);
    if (at == text.npos) return tokens;
    const size_t end = std::min(text.find_first_of(" \t\r\n", at), text.size());
    const std::string word = text.substr(at, end - at);
    if (word.size() > 6 || word.find_first_not_of("0123456789") != word.npos ||
        std::stoll(word) >= vocabulary())
      fail_usage("[synthetic] A text is token numbers below {} with spaces between. Received '{}'.",
                 vocabulary(), word);
    tokens.push_back(static_cast<int32_t>(std::stoll(word)));
    at = end;
  }
}

}  // namespace

KnownEntropy known_entropy(const SyntheticLanguage& language, int64_t context) {
  if (context < 1) fail_usage("[synthetic] The context must be positive. Received {}.", context);
  const int64_t batch = std::max<int64_t>(64, (int64_t{1} << 17) / context);
  Sums sums;
  for (int64_t windows = 0;;) {
    auto other = std::async(std::launch::async, entropy_sums, std::cref(language), context,
                            windows + batch, windows + 2 * batch);
    const Sums first = entropy_sums(language, context, windows, windows + batch),
               second = other.get();
    windows += 2 * batch;
    sums.sum += first.sum + second.sum;
    sums.square += first.square + second.square;
    const auto n = static_cast<double>(windows);
    const double mean = sums.sum / n, variance = std::max(0.0, sums.square / n - mean * mean);
    const double error = std::sqrt(variance / (n - 1.0));
    if (error <= wanted_error) return {mean, error, windows * context};
  }
}

std::shared_ptr<const TokenSource> synthetic_source(const SyntheticConfig& config,
                                                    uint64_t language_seed) {
  return std::make_shared<SyntheticSource>(config, language_seed);
}

}  // namespace rung
