#include "data/bpe.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "core/error.h"
#include "core/hash.h"
#include "core/utf8.h"
#include "data/bpe_tables.h"
#include "data/byte_alphabet.h"

namespace rung {
namespace {

class BpeTokenizer : public Tokenizer {
 public:
  BpeTokenizer(BpeTables tables, const std::string& text, const std::string& name,
               int64_t vocabulary);

  std::string name() const override { return name_; }
  int64_t vocabulary() const override { return static_cast<int64_t>(tables_.pieces.size()); }
  int32_t separator() const override {
    if (tables_.separator < 0)
      fail("[tokenizer] {} has no token that ends a text. Received {} special ones.", file_,
           tables_.special.size());
    return tables_.separator;
  }
  int64_t text_bytes(int32_t token) const override {
    return std::ranges::count(tables_.special, token)
               ? 0
               : static_cast<int64_t>(tables_.pieces[static_cast<size_t>(token)].size());
  }

  std::string decode(std::span<const int32_t> tokens) const override {
    return join_pieces(tables_.pieces, tokens);
  }

  void encode(std::string_view text, std::vector<int32_t>& out) const override {
    // Long texts go in parts that end with a line; no expression that is known looks beyond one
    // that is followed by more than white space.
    while (text.size() > longest_part) {
      size_t cut = text.substr(0, longest_part).rfind('\n');
      if (cut != text.npos) cut = text.find_last_not_of("\r\n\t ", cut);
      cut = cut == text.npos || cut == 0 ? utf8_boundary(text, longest_part) : cut + 1;
      encode_added(text.substr(0, cut), out);
      text.remove_prefix(cut);
    }
    encode_added(text, out);
  }

 private:
  static constexpr size_t longest_part = size_t{1} << 20;

  // Added tokens that are not special are cut out first, the longest at each place.
  void encode_added(std::string_view text, std::vector<int32_t>& out) const {
    if (tables_.added.empty()) return encode_plain(text, out);
    size_t begin = 0;
    for (size_t at = 0; at < text.size();) {
      const auto found = std::ranges::find_if(tables_.added, [&](const auto& token) {
        return text.substr(at).starts_with(token.first);
      });
      if (found == tables_.added.end()) {
        ++at;
        continue;
      }
      encode_plain(text.substr(begin, at - begin), out);
      out.push_back(found->second);
      begin = at += found->first.size();
    }
    encode_plain(text.substr(begin), out);
  }

  void encode_plain(std::string_view text, std::vector<int32_t>& out) const {
    std::vector<std::string_view> pieces{text};
    for (const auto& split : tables_.splits) {
      std::vector<std::string_view> finer;
      for (const std::string_view piece : pieces) {
        const std::vector<std::string_view> parts = split->split(piece);
        finer.insert(finer.end(), parts.begin(), parts.end());
      }
      pieces = std::move(finer);
    }
    std::unordered_map<std::string_view, std::pair<size_t, size_t>> seen;  // words of this text
    for (const std::string_view word : pieces) {
      const auto [at, fresh] = seen.try_emplace(word, out.size(), 0);
      if (fresh) {
        encode_word(word, out);
        at->second.second = out.size() - at->second.first;
        continue;
      }
      for (size_t i = 0; i < at->second.second; ++i) out.push_back(out[at->second.first + i]);
    }
  }

  void encode_word(std::string_view word, std::vector<int32_t>& out) const;

  std::string file_, name_;
  BpeTables tables_;
};

// The lowest-ranked pair is merged, the first of them where several are, until none is left.
void BpeTokenizer::encode_word(std::string_view word, std::vector<int32_t>& out) const {
  if (tables_.whole_words)
    if (const auto found = tables_.ids.find(word); found != tables_.ids.end()) {
      out.push_back(found->second);
      return;
    }
  std::vector<int32_t> tokens;
  for (const char c : word) tokens.push_back(tables_.bytes[static_cast<uint8_t>(c)]);
  while (tokens.size() > 1) {
    BpeTables::Merge best{std::numeric_limits<int32_t>::max(), 0};
    int32_t left = 0, right = 0;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto found = tables_.merges.find(bpe_pair(tokens[i], tokens[i + 1]));
      if (found == tables_.merges.end() || found->second.rank >= best.rank) continue;
      best = found->second;
      left = tokens[i];
      right = tokens[i + 1];
    }
    if (best.rank == std::numeric_limits<int32_t>::max()) break;
    size_t kept = 0;
    for (size_t i = 0; i < tokens.size(); ++kept) {
      const bool pair = i + 1 < tokens.size() && tokens[i] == left && tokens[i + 1] == right;
      tokens[kept] = pair ? best.id : tokens[i];
      i += pair ? 2 : 1;
    }
    tokens.resize(kept);
  }
  out.insert(out.end(), tokens.begin(), tokens.end());
}

BpeTokenizer::BpeTokenizer(BpeTables tables, const std::string& text, const std::string& name,
                           int64_t vocabulary)
    : file_(name), tables_(std::move(tables)) {
  tables_.pieces.resize(
      std::max(tables_.pieces.size(), static_cast<size_t>(std::max<int64_t>(0, vocabulary))));
  name_ = fmt::format("bpe-{}-{}", tables_.pieces.size(), sha256(text).substr(0, 8));
}

// Whether each token is the byte of its number.
bool are_bytes(const BpeTables& tables) {
  for (size_t byte = 0; byte < tables.bytes.size(); ++byte)
    if (tables.bytes[byte] != static_cast<int32_t>(byte)) return false;
  return tables.pieces.size() == tables.bytes.size() && tables.merges.empty() &&
         tables.added.empty() && tables.special.empty();
}

}  // namespace

std::unique_ptr<Tokenizer> bpe_tokenizer(const std::string& json, const std::string& name,
                                         int64_t vocabulary) {
  BpeTables tables = read_bpe_tables(json, name);
  if (are_bytes(tables) && vocabulary <= 256) return byte_tokenizer();
  return std::make_unique<BpeTokenizer>(std::move(tables), json, name, vocabulary);
}

Json byte_tokenizer_json() {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) vocabulary[byte_entry(static_cast<uint8_t>(byte))] = byte;
  const Json step{{"type", "ByteLevel"},
                  {"add_prefix_space", false},
                  {"trim_offsets", false},
                  {"use_regex", false}};
  return {{"version", "1.0"},
          {"truncation", Json()},
          {"padding", Json()},
          {"added_tokens", Json::array()},
          {"normalizer", Json()},
          {"pre_tokenizer", step},
          {"post_processor", Json()},
          {"decoder", step},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}};
}

}  // namespace rung
