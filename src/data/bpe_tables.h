// What a tokenizer.json of byte-level BPE holds, read into tables.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/split_regex.h"

namespace rung {

struct BpeTables {
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Merge {
    int32_t rank, id;
  };

  std::vector<std::string> pieces;  // the bytes of each token
  // Tokens by their bytes, special ones left out.
  std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>> ids;
  std::array<int32_t, 256> bytes{};
  std::unordered_map<uint64_t, Merge> merges;  // by bpe_pair
  bool whole_words = false;                    // a word in the vocabulary is one token
  std::vector<std::unique_ptr<SplitRegex>> splits;
  std::vector<std::pair<std::string, int32_t>> added;  // longest first
  std::vector<int32_t> special;
  int32_t separator = -1;  // what ends a document; -1: no token
};

inline uint64_t bpe_pair(int32_t a, int32_t b) {
  return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32 | static_cast<uint32_t>(b);
}

// From a file's text; `name` is used in messages. Fails, naming it, on any other kind of tokenizer
// or step.
BpeTables read_bpe_tables(const std::string& text, const std::string& name);

}  // namespace rung
