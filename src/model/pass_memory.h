// Bytes that a forward and backward pass over a decoder holds, from its shapes.
#pragma once
#include "model/decoder.h"

namespace rung {

// Where a pass runs, and in what.
struct PassKind {
  bool cuda = false;
  bool half = false;    // bf16
  bool narrow = false;  // the ffn's and the QKV's kernels that keep hidden units on chip
  bool sliced = false;  // of these, the ones that leave matrices' gradients to products
  bool wide = false;    // the ffn's step of library products
  bool without_logits = false;
  bool streamed_loss = false;  // writes logits' exponentials: width 256's and wide models'
  bool ordered = true;         // gradients are added in a fixed order
  int64_t members = 1, sequences = 1;
};
// Of a run of that configuration on that many tokens.
PassKind pass_kind(const Decoder& decoder, const RunConfig& config, int64_t members,
                   int64_t sequences);

// Whether all that the decoder's parts keep is known.
bool is_counted(const Decoder& decoder, const PassKind& kind);

// The most that is held at once beside weights and their gradients: with the backward pass, and
// without.
double training_pass_bytes(const Decoder& decoder, const PassKind& kind);
double evaluation_pass_bytes(const Decoder& decoder, const PassKind& kind);

}  // namespace rung
