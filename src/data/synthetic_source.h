// A TokenSource that never runs out: windows of a synthetic language.
#pragma once
#include <memory>
#include <string>

#include "data/source.h"
#include "data/synthetic.h"

namespace rung {

// Mean entropy of the targets of windows of `context` + 1 tokens, by Monte Carlo over windows of
// their own with the exact entropy at each position; `error` is the standard error, at most 4e-4
// nats.
struct KnownEntropy {
  double value = 0.0, error = 0.0;  // nats per token
  int64_t tokens = 0;               // positions averaged
};
KnownEntropy known_entropy(const SyntheticLanguage& language, int64_t context);

// Windows of the language, each drawn from its number: they never repeat.
std::shared_ptr<const TokenSource> synthetic_source(const SyntheticConfig& config,
                                                    uint64_t language_seed);

}  // namespace rung
