#include "data/tokenizer.h"

#include <doctest/doctest.h>

#include "core/random.h"
#include "data/read_text.h"
#include "data/temporary.h"

namespace rung {
namespace {

const std::vector<std::string>& sample() {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> result;
    const char* words[] = {"the",         "of",         "compiler", "error", "template",
                           "std::vector", "na\u00efve", "int",      "\u4f60"};
    Random random(1, "words");
    for (int i = 0; i < 200; ++i) {
      std::string text;
      for (int w = 0; w < 120; ++w) {
        text += words[random.below(3) ? random.below(5) : random.below(9)];
        text += random.below(12) == 0 ? "\n\n    " : random.below(9) == 0 ? ".\n" : " ";
      }
      result.push_back(text);
    }
    return result;
  }();
  return texts;
}

std::vector<int32_t> encoded(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<int32_t> tokens;
  tokenizer.encode(text, tokens);
  return tokens;
}

void check_exact(const Tokenizer& tokenizer) {
  std::vector<std::string> texts = {"",
                                    " ",
                                    "   ",
                                    "\n",
                                    "a",
                                    "  two  spaces ",
                                    "tab\there\r\n",
                                    "<unk></s><0x41>",
                                    "\xE2\x96\x81 own symbol \xE2\x96\x81",
                                    "bad \xFF\xC3 utf8 \xE2\x96",
                                    "\xF0\x9F\x98\x80 \u0301 \u00a0 \ufb01"};
  std::string& spaces = texts.emplace_back(100, ' ');
  spaces.push_back('x');
  texts.push_back(sample()[0]);
  texts.push_back(std::string("nul\0inside", 10));
  Random random(7, "bytes");
  for (int i = 0; i < 50; ++i) {
    std::string text;
    for (int b = 0; b < 60; ++b) text += static_cast<char>(random.below(256));
    texts.push_back(text);
  }
  for (const std::string& text : texts) {
    CAPTURE(text);
    const std::vector<int32_t> tokens = encoded(tokenizer, text);
    CHECK(tokenizer.decode(tokens) == text);
    int64_t bytes = 0;
    for (const int32_t token : tokens) {
      REQUIRE(token >= 0);
      REQUIRE(token < tokenizer.vocabulary());
      bytes += tokenizer.text_bytes(token);
      if (text.find('\0') == std::string::npos) CHECK(token != tokenizer.separator());
    }
    if (text.find('\0') == std::string::npos) CHECK(bytes == static_cast<int64_t>(text.size()));
  }
}

TEST_CASE("bytes are exact") {
  const auto tokenizer = byte_tokenizer();
  check_exact(*tokenizer);
  CHECK(tokenizer->vocabulary() == 256);
  CHECK(tokenizer->text_bytes(0) == 0);
  CHECK(has(message_of([&] { (void)tokenizer->decode(std::vector<int32_t>{256}); }), "not a byte"));
}

#ifdef RUNG_SENTENCEPIECE
TEST_CASE("trained tokenizers are exact, of the asked size, and the same every time") {
  for (const char* kind : {"bpe", "unigram"}) {
    CAPTURE(kind);
    const std::string model = train_sentencepiece(kind, 296, sample());
    const auto tokenizer = sentencepiece_tokenizer(model, "model");
    CHECK(tokenizer->vocabulary() == 296);
    check_exact(*tokenizer);
    CHECK(train_sentencepiece(kind, 296, sample()) == model);
    CHECK(encoded(*tokenizer, sample()[1]).size() * 2 < sample()[1].size());
    CHECK(has(message_of([&] { (void)tokenizer->decode(std::vector<int32_t>{296}); }),
              "outside the vocabulary"));
  }
}

TEST_CASE("sizes that cannot be are refused in one line") {
  const std::string small = message_of([] { train_sentencepiece("bpe", 100, sample()); });
  CHECK(has(small, "Give at least 272"));
  const std::string large = message_of([] { train_sentencepiece("unigram", 30'000, sample()); });
  CHECK(has(large, "Choose another size"));
  CHECK(large.find('\n') == std::string::npos);
  CHECK(has(message_of([] { sentencepiece_tokenizer("not a model", "x.model"); }), "x.model"));
}
#endif

}  // namespace
}  // namespace rung
