#include "data/bpe.h"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_map>

#include "core/error.h"
#include "core/hash.h"
#include "core/json.h"
#include "data/byte_alphabet.h"
#include "data/split_regex.h"
#include "data/utf8.h"

namespace rung {
namespace {

// GPT-2's own split, which ByteLevel stands for where no other is given.
constexpr const char* gpt2_split =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Ids = std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>>;

struct Merge {
  int32_t rank, id;
};

class BpeTokenizer : public Tokenizer {
 public:
  BpeTokenizer(const std::string& text, const std::string& name, int64_t vocabulary);

  std::string name() const override { return name_; }
  int64_t vocabulary() const override { return static_cast<int64_t>(pieces_.size()); }
  int32_t separator() const override {
    if (separator_ < 0)
      fail("[tokenizer] {} has no token that ends a text. Received {} special ones.", file_,
           special_.size());
    return separator_;
  }
  int64_t text_bytes(int32_t token) const override {
    return std::ranges::count(special_, token)
               ? 0
               : static_cast<int64_t>(pieces_[static_cast<size_t>(token)].size());
  }

  std::string decode(std::span<const int32_t> tokens) const override {
    return join_pieces(pieces_, tokens);
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

  [[noreturn]] void unsupported(const std::string& what) const {
    fail(
        "[tokenizer] {} is read as byte-level BPE only. Received {}. `rung logits` needs no "
        "tokenizer.",
        file_, what);
  }
  void read_model(const Json& model);
  void read_merges(const Json& merges);
  void read_added(const Json& added);
  void read_steps(const Json& json);
  void read_splits(const Json& step);

  // Added tokens that are not special are cut out first, the longest at each place.
  void encode_added(std::string_view text, std::vector<int32_t>& out) const {
    if (added_.empty()) return encode_plain(text, out);
    size_t begin = 0;
    for (size_t at = 0; at < text.size();) {
      const auto found = std::ranges::find_if(
          added_, [&](const auto& token) { return text.substr(at).starts_with(token.first); });
      if (found == added_.end()) {
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
    for (const auto& split : splits_) {
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
  std::vector<std::string> pieces_;  // the bytes of each token
  Ids ids_;                          // of tokens by their bytes, special ones left out
  std::array<int32_t, 256> bytes_{};
  std::unordered_map<uint64_t, Merge> merges_;  // by the pair of tokens
  bool whole_words_ = false;                    // a word in the vocabulary is one token
  std::vector<std::unique_ptr<SplitRegex>> splits_;
  std::vector<std::pair<std::string, int32_t>> added_;  // longest first
  std::vector<int32_t> special_;
  int32_t separator_ = -1;
};

uint64_t pair_key(int32_t a, int32_t b) {
  return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32 | static_cast<uint32_t>(b);
}

// The lowest-ranked pair is merged, the first of them where several are, until none is left.
void BpeTokenizer::encode_word(std::string_view word, std::vector<int32_t>& out) const {
  if (whole_words_)
    if (const auto found = ids_.find(word); found != ids_.end()) {
      out.push_back(found->second);
      return;
    }
  std::vector<int32_t> tokens;
  for (const char c : word) tokens.push_back(bytes_[static_cast<uint8_t>(c)]);
  while (tokens.size() > 1) {
    Merge best{std::numeric_limits<int32_t>::max(), 0};
    int32_t left = 0, right = 0;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto found = merges_.find(pair_key(tokens[i], tokens[i + 1]));
      if (found == merges_.end() || found->second.rank >= best.rank) continue;
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

void BpeTokenizer::read_model(const Json& model) {
  const std::string type = model.value("type", "");
  if (type != "BPE")
    unsupported(fmt::format("the model {}", type.empty() ? "without a type" : type));
  if (model.value("byte_fallback", false)) unsupported("byte_fallback");
  for (const char* key :
       {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"})
    if (model.contains(key) && !model.at(key).is_null() && model.at(key) != "")
      unsupported(fmt::format("{} = {}", key, model.at(key).dump()));
  whole_words_ = model.value("ignore_merges", false);
  bytes_.fill(-1);
  for (const auto& [entry, number] : model.at("vocab").items()) {
    const auto id = number.get<int64_t>();
    if (id < 0 || id > (1 << 24)) unsupported(fmt::format("the token id {}", id));
    if (static_cast<size_t>(id) >= pieces_.size()) pieces_.resize(static_cast<size_t>(id) + 1);
    const std::string bytes = spelt_bytes(entry);
    pieces_[static_cast<size_t>(id)] = bytes.empty() ? entry : bytes;
    if (bytes.empty()) continue;
    ids_[bytes] = static_cast<int32_t>(id);
    if (bytes.size() == 1) bytes_[static_cast<uint8_t>(bytes[0])] = static_cast<int32_t>(id);
  }
  if (std::ranges::count(bytes_, -1) > 0)
    unsupported(
        fmt::format("a vocabulary without {} of the 256 bytes", std::ranges::count(bytes_, -1)));
  read_merges(model.at("merges"));
}

void BpeTokenizer::read_merges(const Json& merges) {
  int32_t rank = 0;
  for (const Json& merge : merges) {
    std::string a, b;
    if (merge.is_string()) {
      const std::string text = merge.get<std::string>();
      const size_t space = text.find(' ');
      if (space == text.npos) unsupported(fmt::format("the merge {}", merge.dump()));
      a = text.substr(0, space);
      b = text.substr(space + 1);
    } else {
      a = merge.at(0).get<std::string>();
      b = merge.at(1).get<std::string>();
    }
    const std::string left = spelt_bytes(a), right = spelt_bytes(b);
    const auto l = ids_.find(left), r = ids_.find(right), both = ids_.find(left + right);
    if (l == ids_.end() || r == ids_.end() || both == ids_.end())
      unsupported(fmt::format("a merge of unknown tokens, {}", merge.dump()));
    merges_.try_emplace(pair_key(l->second, r->second), Merge{rank++, both->second});
  }
}

// Special tokens stand for nothing in a text, so that no text makes them.
void BpeTokenizer::read_added(const Json& added) {
  for (const Json& token : added) {
    const auto id = token.at("id").get<int64_t>();
    const std::string content = token.at("content").get<std::string>();
    if (id < 0 || id > (1 << 24) || content.empty())
      unsupported(fmt::format("the added token {}", token.dump()));
    if (static_cast<size_t>(id) >= pieces_.size()) pieces_.resize(static_cast<size_t>(id) + 1);
    pieces_[static_cast<size_t>(id)] = content;
    if (token.value("special", false)) {
      special_.push_back(static_cast<int32_t>(id));
      if (const auto found = ids_.find(content);
          found != ids_.end() && found->second == id && content.size() > 1)
        ids_.erase(found);
      continue;
    }
    for (const char* key : {"lstrip", "rstrip", "single_word"})
      if (token.value(key, false)) unsupported(fmt::format("an added token with {}", key));
    added_.emplace_back(content, static_cast<int32_t>(id));
  }
  std::ranges::sort(added_, [](const auto& a, const auto& b) {
    return std::pair(b.first.size(), a.first) < std::pair(a.first.size(), b.first);
  });
  // What the authors of these tokenizers end a document with.
  for (const char* end : {"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"})
    for (const int32_t id : special_)
      if (separator_ < 0 && pieces_[static_cast<size_t>(id)] == end) separator_ = id;
}

void BpeTokenizer::read_splits(const Json& step) {
  const std::string type = step.value("type", "");
  if (type == "Sequence") {
    for (const Json& inner : step.at("pretokenizers")) read_splits(inner);
  } else if (type == "Split") {
    const Json& pattern = step.at("pattern");
    if (!pattern.contains("Regex") || step.value("behavior", "") != "Isolated" ||
        step.value("invert", false))
      unsupported(fmt::format("the pre-tokenizer {}", step.dump()));
    splits_.push_back(split_regex(pattern.at("Regex").get<std::string>()));
  } else if (type == "ByteLevel") {
    if (step.value("add_prefix_space", true)) unsupported("add_prefix_space");
    if (step.value("use_regex", true)) splits_.push_back(split_regex(gpt2_split));
  } else {
    unsupported(fmt::format("the pre-tokenizer {}", type));
  }
}

void BpeTokenizer::read_steps(const Json& json) {
  const auto type_of = [&](const char* key) {
    return json.contains(key) && json.at(key).is_object() ? json.at(key).value("type", "") : "";
  };
  const std::string normaliser = type_of("normalizer"), decoder = type_of("decoder");
  if (!normaliser.empty() && normaliser != "NFC")
    unsupported(fmt::format("the normalizer {}", normaliser));
  if (decoder != "ByteLevel")
    unsupported(decoder.empty() ? "no decoder" : fmt::format("the decoder {}", decoder));
  if (type_of("pre_tokenizer").empty()) unsupported("no pre-tokenizer");
  read_splits(json.at("pre_tokenizer"));
}

BpeTokenizer::BpeTokenizer(const std::string& text, const std::string& name, int64_t vocabulary)
    : file_(name) {
  try {
    const Json json = Json::parse(text);
    read_model(json.at("model"));
    read_added(json.value("added_tokens", Json::array()));
    read_steps(json);
  } catch (const nlohmann::json::exception& error) {
    fail("[tokenizer] {} cannot be read: {}.", name, error.what());
  }
  pieces_.resize(std::max(pieces_.size(), static_cast<size_t>(std::max<int64_t>(0, vocabulary))));
  name_ = fmt::format("bpe-{}-{}", pieces_.size(), sha256(text).substr(0, 8));
}

}  // namespace

std::unique_ptr<Tokenizer> bpe_tokenizer(const std::string& json, const std::string& name,
                                         int64_t vocabulary) {
  return std::make_unique<BpeTokenizer>(json, name, vocabulary);
}

}  // namespace rung
