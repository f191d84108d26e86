// One sequence as it is generated: a token a pass, or several where the model drafts for itself.
#pragma once
#include <functional>

#include "model/decoder.h"

namespace rung {

// Self-speculation (Stern et al. 2018, arXiv 1811.03115; Gloeckle et al. 2024): further heads draft
// the tokens behind the next, and the next pass reads them all. Where a draft is what is drawn
// there, the pass has decided the following token too; at the first that is not, the cache is
// rewound. Tokens are those of generation without drafts, drawn in the same order, up to rounding
// between a pass over one token and over several.
struct Generation {
  const Decoder& decoder;
  std::span<const Weight> weights;  // of one member
  bool speculate = false;           // wants a decoder with further heads
  Cache cache = {};
  std::vector<int32_t> drafts = {};  // of the tokens behind the last one known
  int64_t passes = 0, drafted = 0, accepted = 0;
};

// The next token, given its logits.
using Draw = std::function<int32_t(std::span<const float> logits)>;

// Appends 1 to `limit` tokens to `tokens`, of which those that the cache has not seen are read.
// Beyond the context only a recurrent model goes on; others read their last tokens anew, one token
// a pass.
void extend(Generation& generation, std::vector<int32_t>& tokens, int64_t limit, const Draw& draw);

// Appends one token to each of `sequences`, all of one length, in one pass, without drafts.
using DrawOf = std::function<int32_t(size_t sequence, std::span<const float> logits)>;
void extend_together(Generation& generation, std::span<std::vector<int32_t>> sequences,
                     const DrawOf& draw);

}  // namespace rung
