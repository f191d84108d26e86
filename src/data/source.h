// Where training and held-out tokens come from. A source is immutable and safe to read from many
// threads.
#pragma once
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "core/json.h"

namespace rung {

// Held-out windows: the same for every seed and rung that share data, tokenizer and context.
struct HeldOut {
  int64_t context = 0;
  std::vector<int32_t> tokens;    // [windows, context + 1]
  std::vector<int32_t> document;  // [windows, context]: document of each target, for clusters
  std::string sha256;             // of tokens
  double bytes_per_token = 0.0;   // text bytes per target (separators count 0); 0: not text
  double unigram_loss = 0.0;      // nats per token under the training unigrams, add-one smoothed
  double entropy = NAN;           // mean -ln p(target | its window) where p is known, else NaN
  int64_t windows() const {
    return context ? static_cast<int64_t>(tokens.size()) / (context + 1) : 0;
  }
};

class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual int64_t vocabulary() const = 0;
  // Distinct training windows of context + 1 tokens (consecutive windows share one token),
  // INT64_MAX when endless.
  virtual int64_t sequences(int64_t context) const = 0;
  // Writes window `index` (0 <= index < sequences) into `out`, of size context + 1.
  virtual void read(int64_t index, std::span<int32_t> out) const = 0;
  // At most `tokens` held-out target tokens in whole windows, chosen evenly over the held-out
  // documents.
  virtual HeldOut held_out(int64_t context, int64_t tokens) const = 0;
  virtual std::vector<int32_t> encode(const std::string& text) const = 0;
  virtual std::string decode(std::span<const int32_t> tokens) const = 0;
  // Irreducible loss in nats per token when it is known (synthetic language); NaN otherwise.
  virtual double entropy(int64_t context) const = 0;
  virtual Json describe() const = 0;  // path, tokenizer, sizes, hashes: what a record should say
};

// Opens (and, the first time, tokenizes into `cache`) the data of a configuration.
// Fails with one line on missing, empty, binary or truncated data.
std::shared_ptr<const TokenSource> open_source(const DataConfig& config, const std::string& cache,
                                               uint64_t language_seed = 1);

// The window that member `seed` reads as its `position`-th: perm(seed, epoch)(position mod n).
int64_t sequence_at(int64_t position, int64_t sequences, uint64_t seed);

}  // namespace rung
