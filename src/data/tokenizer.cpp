#include "data/tokenizer.h"

#include "core/error.h"
#include "core/files.h"
#include "data/bpe.h"

namespace rung {
namespace {

class ByteTokenizer : public Tokenizer {
 public:
  std::string name() const override { return "bytes"; }
  int64_t vocabulary() const override { return 256; }
  int32_t separator() const override { return 0; }
  void encode(std::string_view text, std::vector<int32_t>& out) const override {
    const size_t begin = out.size();
    out.resize(begin + text.size());
    for (size_t i = 0; i < text.size(); ++i) out[begin + i] = static_cast<uint8_t>(text[i]);
  }
  std::string decode(std::span<const int32_t> tokens) const override {
    std::string text(tokens.size(), '\0');
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i] < 0 || tokens[i] > 255)
        fail("[tokenizer] Token {} is not a byte. Give tokens of 0 to 255.", tokens[i]);
      text[i] = static_cast<char>(tokens[i]);
    }
    return text;
  }
  int64_t text_bytes(int32_t token) const override { return token != separator(); }
};

}  // namespace

std::unique_ptr<Tokenizer> byte_tokenizer() {
  return std::make_unique<ByteTokenizer>();
}

std::unique_ptr<Tokenizer> given_tokenizer(const DataConfig& config) {
  const std::string& kind = config.tokenizer;
  if (kind == "bytes") return byte_tokenizer();
  if (kind.starts_with(no_tokenizer))
    fail(
        "[tokenizer] The run came without a tokenizer that can be read; `rung logits` takes token "
        "ids. For texts put its tokenizer.json or tokenizer.model beside its config.json and "
        "import "
        "that folder again. Received {}.",
        kind);
  if (!fs::is_regular_file(kind))
    fail_usage(
        "[data] Unknown tokenizer. Received {}. Give bytes, bpe, unigram or the path of a "
        "tokenizer.model or tokenizer.json.",
        kind);
  const std::string file = read_file(kind);
  if (kind.ends_with(".json")) return bpe_tokenizer(file, kind, config.vocabulary);
  return sentencepiece_tokenizer(file, kind);
}

std::string join_pieces(std::span<const std::string> pieces, std::span<const int32_t> tokens) {
  std::string text;
  for (const int32_t token : tokens) {
    if (token < 0 || token >= std::ssize(pieces))
      fail("[tokenizer] Token {} is outside the vocabulary of {}.", token, pieces.size());
    text += pieces[static_cast<size_t>(token)];
  }
  return text;
}

}  // namespace rung
