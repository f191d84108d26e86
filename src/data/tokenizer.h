// Text to tokens and back, exactly: decode(encode(x)) == x.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace rung {

// Immutable and safe to use from many threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // bytes, bpe-1024-<hash>, ...: equal names tokenise equally.
  virtual std::string name() const = 0;
  virtual int64_t vocabulary() const = 0;
  // The token after each document, which no text encodes to. bytes: 0x00 (text holds no NUL);
  // SentencePiece: </s>.
  virtual int32_t separator() const = 0;
  virtual void encode(std::string_view text, std::vector<int32_t>& out) const = 0;  // appends
  // Fails on tokens outside the vocabulary.
  virtual std::string decode(std::span<const int32_t> tokens) const = 0;
  // Bytes that a token stands for; 0 for the separator.
  virtual int64_t text_bytes(int32_t token) const = 0;
  // The serialised SentencePiece model; empty for others.
  virtual std::string model() const { return {}; }
};

// The pieces of a vocabulary in a row. Fails on tokens outside it.
std::string join_pieces(std::span<const std::string> pieces, std::span<const int32_t> tokens);

std::unique_ptr<Tokenizer> byte_tokenizer();

// From the bytes of a tokenizer.model. Fails when it is damaged; `name` is used in messages. A
// model that does not fall back to bytes is refused, since it could not return every text.
std::unique_ptr<Tokenizer> sentencepiece_tokenizer(const std::string& model,
                                                   const std::string& name);

// What data.tokenizer begins with where a run came without a tokenizer that could be read; the
// reason may follow.
inline constexpr std::string_view no_tokenizer = "none";

// A tokenizer that is given, not trained: bytes, or the file that config.tokenizer names. Fails on
// other words, `no_tokenizer` included.
std::unique_ptr<Tokenizer> given_tokenizer(const DataConfig& config);

// Whether SentencePiece itself spells texts as they are with this model: some add a space before a
// text or change what they read, and sentencepiece_tokenizer spells such text in bytes.
bool spells_exactly(const std::string& model, const std::string& name);

// Trains SentencePiece (`kind`: bpe or unigram) on documents in the given order and returns the
// model's bytes. The same documents give the same model. Fails when the vocabulary is too small for
// 256 bytes and two symbols, or too large for the text.
std::string train_sentencepiece(const std::string& kind, int64_t vocabulary,
                                const std::vector<std::string>& documents);

}  // namespace rung
