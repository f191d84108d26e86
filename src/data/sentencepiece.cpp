#include "data/sentencepiece.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <unordered_map>

#include "core/error.h"
#include "core/hash.h"
#include "core/utf8.h"
#include "data/tokenizer.h"

#ifdef RUNG_SENTENCEPIECE
#include <sentencepiece_processor.h>
#endif

namespace rung {
#ifdef RUNG_SENTENCEPIECE
namespace {

constexpr size_t longest_chunk = size_t{1} << 20;

class PieceTokenizer : public Tokenizer {
 public:
  PieceTokenizer(const std::string& model, const std::string& name) : model_(model) {
    if (const auto status = processor_.LoadFromSerializedProto(model); !status.ok())
      fail("[tokenizer] {} is no SentencePiece model. Received {} bytes. Train it again.", name,
           model.size());
    list_pieces(name);
    name_ = fmt::format("sp-{}-{}", vocabulary(), sha256(model).substr(0, 8));
  }

  std::string name() const override { return name_; }
  int64_t vocabulary() const override { return static_cast<int64_t>(pieces_.size()); }
  int32_t separator() const override { return separator_; }
  int64_t text_bytes(int32_t token) const override {
    return static_cast<int64_t>(pieces_[static_cast<size_t>(token)].size());
  }
  std::string model() const override { return model_; }
  bool exact(std::string_view text) const { return decode(processed(text)) == text; }

  std::string decode(std::span<const int32_t> tokens) const override {
    return join_pieces(pieces_, tokens);
  }

  void encode(std::string_view text, std::vector<int32_t>& out) const override {
    while (!text.empty()) {
      const size_t plain = plain_prefix(text);
      encode_plain(text.substr(0, plain), out);
      text.remove_prefix(plain);
      if (plain == 0) {
        out.push_back(bytes_[static_cast<uint8_t>(text.front())]);
        text.remove_prefix(1);
      }
    }
  }

 private:
  void list_pieces(const std::string& name);

  // The stretch that SentencePiece may see: valid UTF-8 without NUL and without its own space
  // symbol.
  static size_t plain_prefix(std::string_view text) {
    size_t length = valid_utf8_prefix(text.substr(0, utf8_boundary(text, 2 * longest_chunk)));
    length = std::min({length, text.find(space_symbol), text.find('\0')});
    if (length <= longest_chunk) return length;
    const size_t line = text.substr(0, longest_chunk).rfind('\n');  // long documents go in parts
    return line != text.npos ? line + 1 : utf8_boundary(text, longest_chunk);
  }

  // No piece crosses the start of a run of spaces, so words are encoded one by one and remembered:
  // about twice as fast.
  void encode_plain(std::string_view text, std::vector<int32_t>& out) const {
    if (!words_apart_) return encode_word(text, out);
    WordCache& cache = word_cache();
    while (!text.empty()) {
      size_t end = text.find_first_not_of(' ');
      end = std::min(text.find(' ', std::min(end, text.size())), text.size());
      const std::string_view word = text.substr(0, end);
      text.remove_prefix(end);
      if (word.size() > 64) {
        encode_word(word, out);
        continue;
      }
      auto found = cache.words.find(word);
      if (found == cache.words.end()) {
        found = cache.words.try_emplace(std::string(word)).first;
        encode_word(word, found->second);
      }
      out.insert(out.end(), found->second.begin(), found->second.end());
    }
  }

  std::vector<int> processed(std::string_view text) const {
    std::vector<int> ids;
    if (const auto status = processor_.Encode({text.data(), text.size()}, &ids); !status.ok())
      fail("[tokenizer] SentencePiece cannot encode this text: {}.", status.ToString());
    return ids;
  }

  void encode_word(std::string_view text, std::vector<int32_t>& out) const {
    const std::vector<int> ids = processed(text);
    // A model trained elsewhere may normalise: then the bytes themselves are the only exact
    // spelling.
    if (decode({ids.data(), ids.size()}) != text) {
      for (const char c : text) out.push_back(bytes_[static_cast<uint8_t>(c)]);
      return;
    }
    out.insert(out.end(), ids.begin(), ids.end());
  }

  struct WordHash {
    using is_transparent = void;
    size_t operator()(std::string_view word) const { return std::hash<std::string_view>{}(word); }
  };
  struct WordCache {
    uint64_t owner = 0;
    std::unordered_map<std::string, std::vector<int32_t>, WordHash, std::equal_to<>> words;
  };
  // Of this thread and this tokenizer, bounded.
  WordCache& word_cache() const {
    thread_local WordCache cache;
    if (cache.owner != identity_ || cache.words.size() > 100'000) {
      cache.words.clear();
      cache.owner = identity_;
    }
    return cache;
  }
  static uint64_t next_identity() {
    static std::atomic<uint64_t> next{1};
    return next++;
  }

  const uint64_t identity_ = next_identity();
  bool words_apart_ = true;
  sentencepiece::SentencePieceProcessor processor_;
  std::string model_, name_;
  std::vector<std::string> pieces_;  // the text of each token
  std::array<int32_t, 256> bytes_{};
  int32_t separator_ = -1;
};

void PieceTokenizer::list_pieces(const std::string& name) {
  bytes_.fill(-1);
  for (int id = 0; id < processor_.GetPieceSize(); ++id) {
    const std::string piece = processor_.IdToPiece(id);
    std::string text;
    if (processor_.IsByte(id)) {
      const auto byte = static_cast<size_t>(std::stoul(piece.substr(3, 2), nullptr, 16));
      text = std::string(1, static_cast<char>(byte));
      bytes_[byte] = id;
    } else if (!processor_.IsControl(id) && !processor_.IsUnknown(id) && !processor_.IsUnused(id)) {
      for (size_t i = 0; i < piece.size();) {
        const bool space = piece.compare(i, space_symbol.size(), space_symbol) == 0;
        text += space ? ' ' : piece[i];
        if (space && text.find_first_not_of(' ') != text.npos) words_apart_ = false;
        i += space ? space_symbol.size() : 1;
      }
    }
    pieces_.push_back(std::move(text));
  }
  separator_ = processor_.eos_id();
  if (std::ranges::find(bytes_, -1) != bytes_.end() || separator_ < 0)
    fail(
        "[tokenizer] {} cannot return every text. Received a model without {}. Train it with byte "
        "fallback and </s>.",
        name, separator_ < 0 ? "</s>" : "byte fallback");
}

}  // namespace

bool spells_exactly(const std::string& model, const std::string& name) {
  return PieceTokenizer(model, name).exact("a b  c\nD");
}

std::unique_ptr<Tokenizer> sentencepiece_tokenizer(const std::string& model,
                                                   const std::string& name) {
  return std::make_unique<PieceTokenizer>(model, name);
}

#else

std::unique_ptr<Tokenizer> sentencepiece_tokenizer(const std::string&, const std::string& name) {
  fail(
      "[tokenizer] This build lacks SentencePiece, which {} needs. Install libsentencepiece-dev or "
      "use bytes.",
      name);
}

bool spells_exactly(const std::string&, const std::string&) {
  return false;
}

#endif
}  // namespace rung
