// Byte-level BPE from a tokenizer.json, as GPT-2, Llama 3 and Qwen have it.
#pragma once
#include <memory>
#include <string>

#include "core/json.h"
#include "data/tokenizer.h"

namespace rung {

// From the text of a tokenizer.json; `name` is used in messages. The vocabulary is at least as
// large as asked for, since models often have more rows than tokens. Fails, naming it, on any other
// kind of tokenizer or step. The normaliser NFC is left out, and special tokens in a text are
// spelt: text comes back exactly. A file of the 256 bytes by their own numbers, which merges
// nothing, is the byte tokenizer.
std::unique_ptr<Tokenizer> bpe_tokenizer(const std::string& json, const std::string& name,
                                         int64_t vocabulary);

// Such a file of the byte tokenizer.
Json byte_tokenizer_json();

}  // namespace rung
