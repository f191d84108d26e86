// Documents in batches, hashed and tokenised by several threads, handed over in order.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/split.h"
#include "data/tokenizer.h"

namespace rung {

struct TextBatch {
  std::vector<std::string> documents;
  std::vector<DocumentHash> hashes;
  // Each document followed by the separator; empty without a tokenizer.
  std::vector<int32_t> tokens;
  std::vector<size_t> ends;  // of each document in `tokens`
};

// Reads `path` and calls `consume` for each batch of about 1 MiB, in order and on the calling
// thread; the result does not depend on the number of threads. `tokenizer` may be null: documents
// are then hashed only.
void for_text_batches(const std::filesystem::path& path, const Tokenizer* tokenizer,
                      const std::function<void(TextBatch&)>& consume);

}  // namespace rung
