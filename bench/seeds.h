// What the small studies share: settings from the command line, several seeds of one configuration
// trained as a population, what they answer, and the mean with the lowest and the highest of them.
#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>

#include "config/resolve.h"
#include "train/population.h"

namespace rung::bench {

// The positional numbers of a command line, in order, as far as given; then KEY=VALUE settings.
struct Options {
  std::vector<std::string> settings;

  template <class... Number>
  static Options read(int argc, char** argv, Number&... numbers) {
    Options options;
    int at = 1;
    const auto next = [&](auto& number) {
      if (at < argc && !is_setting(argv[at])) number = std::atoll(argv[at++]);
    };
    (next(numbers), ...);
    for (; at < argc; ++at) options.settings.emplace_back(argv[at]);
    return options;
  }
  // What is no setting, which is then forgotten here.
  std::vector<std::string> take_words() {
    const auto first = std::stable_partition(settings.begin(), settings.end(), is_setting);
    std::vector<std::string> words(first, settings.end());
    settings.erase(first, settings.end());
    return words;
  }
  static bool is_setting(const std::string& text) { return text.find('=') != std::string::npos; }

  void apply(RunConfig& config) const {
    for (const std::string& text : settings) {
      const Setting setting = parse_setting(text);
      apply_setting(config, setting.key, setting.values.front());
    }
  }
};

// Seeds 1 .. `seeds` of the configuration, trained to its end.
inline std::unique_ptr<Population> train_seeds(const RunConfig& config, int64_t seeds,
                                               std::shared_ptr<const TokenSource> source,
                                               const Machine& machine) {
  std::vector<RunConfig> members(static_cast<size_t>(seeds), config);
  for (size_t i = 0; i < members.size(); ++i) members[i].seed = i + 1;
  auto population = std::make_unique<Population>(std::move(members), std::move(source), machine);
  while (population->step < population->schedule.steps) population->advance();
  population->sync();
  return population;
}

// Sequences that were never trained on, [1, count, time], and what the member holds to be the
// likeliest token after each of theirs; on the CPU. `time` 0 is the context's.
struct Answers {
  at::Tensor tokens, likeliest;
};
inline Answers ask(Population& population, int64_t member, const TokenSource& source, int64_t count,
                   int64_t time = 0) {
  constexpr int64_t unseen = int64_t{1} << 41;
  if (time == 0) time = population.decoder.model.context;
  const at::Tensor tokens = at::empty({1, count, time}, at::kLong);
  std::vector<int32_t> window(
      static_cast<size_t>(time + 1));  // as training's: the last is a target
  for (int64_t i = 0; i < count; ++i) {
    source.read(unseen + i, window);
    std::copy_n(window.begin(), time, tokens.mutable_data_ptr<int64_t>() + i * time);
  }
  const at::Tensor logits = population.logits(member, tokens.to(population.weights.device()));
  return {tokens, logits.argmax(-1).to(at::kCPU).contiguous()};
}

// Of the tokens that ask something, by asks(tokens of the sequence, index), the share whose next
// one is held to be the likeliest.
template <class Asks>
double share_right(const Answers& answers, Asks&& asks) {
  const int64_t time = answers.tokens.size(2);
  const int64_t* token = answers.tokens.const_data_ptr<int64_t>();
  const int64_t* guess = answers.likeliest.const_data_ptr<int64_t>();
  int64_t right = 0, asked = 0;
  for (int64_t i = 0; i < answers.tokens.size(1); ++i, token += time, guess += time)
    for (int64_t t = 0; t + 1 < time; ++t)
      if (asks(token, t)) {
        asked += 1;
        right += guess[t] == token[t + 1];
      }
  return static_cast<double>(right) / static_cast<double>(asked);
}

// The text that the settings name, tokenized once.
inline std::shared_ptr<const TokenSource> open_text(const RunConfig& config) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  return open_source(config.data, cache ? cache : "/tmp");
}

struct Spread {
  double mean = 0.0, low = 0.0, high = 0.0;
};
inline Spread spread_of(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return {sum / static_cast<double>(values.size()), *low, *high};
}

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace rung::bench
