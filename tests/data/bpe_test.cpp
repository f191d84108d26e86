#include "data/bpe.h"

#include <doctest/doctest.h>

#include "core/files.h"
#include "core/json.h"
#include "data/split_regex.h"
#include "data/temporary.h"
#include "support/source_dir.h"

using namespace rung;

TEST_CASE("the byte tokenizer's file is read as the byte tokenizer") {
  const Json file = byte_tokenizer_json();
  const auto bytes = bpe_tokenizer(file.dump(), "tokenizer.json", 0);
  CHECK(bytes->name() == "bytes");
  CHECK(bytes->separator() == 0);
  Json turned = file, merging = file, ending = file;
  std::swap(turned["model"]["vocab"]["A"], turned["model"]["vocab"]["B"]);
  merging["model"]["vocab"]["AB"] = 256;
  merging["model"]["merges"].push_back("A B");
  ending["added_tokens"].push_back({{"id", 256}, {"content", "</s>"}, {"special", true}});
  for (const Json& other : {turned, merging, ending}) {
    const auto bpe = bpe_tokenizer(other.dump(), "tokenizer.json", 0);
    CHECK(bpe->name().starts_with("bpe-"));
    std::vector<int32_t> ids;
    bpe->encode("ABé", ids);
    CHECK(bpe->decode(ids) == "ABé");
  }
  CHECK(bpe_tokenizer(file.dump(), "tokenizer.json", 300)->vocabulary() == 300);
}

#ifdef RUNG_ICU
namespace {

fs::path golden(const std::string& name) {
  return fs::path(source_dir()) / "tests/golden/tokenizers" / name;
}

std::unique_ptr<Tokenizer> tokenizer(const std::string& name, int64_t vocabulary = 0) {
  return bpe_tokenizer(read_file(golden(name + ".json")), name, vocabulary);
}

std::vector<int32_t> encode(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids;
  tokenizer.encode(text, ids);
  return ids;
}

std::string after(void (*change)(Json&)) {
  Json json = read_json(golden("llama3.json"));
  change(json);
  return message_of([&] { bpe_tokenizer(json.dump(), "tokenizer.json", 0); });
}

}  // namespace

TEST_CASE("tokens equal those of the tokenizers package, and give the text back") {
  const Json expected = read_json(golden("expected.json"));
  for (const char* name : {"gpt2", "llama3", "qwen"}) {
    CAPTURE(name);
    const auto bpe = tokenizer(name);
    for (size_t i = 0; i < expected.at("texts").size(); ++i) {
      const std::string text = expected.at("texts")[i].get<std::string>();
      CAPTURE(text);
      const std::vector<int32_t> ids = encode(*bpe, text);
      CHECK(ids == expected.at(name)[i].get<std::vector<int32_t>>());
      CHECK(bpe->decode(ids) == text);
    }
  }
}

TEST_CASE("any bytes come back, and no text makes the separator") {
  const auto bpe = tokenizer("gpt2");
  std::string bytes;
  for (int i = 0; i < 1024; ++i) bytes += static_cast<char>(i * 7 % 256);
  CHECK(bpe->decode(encode(*bpe, bytes)) == bytes);
  const std::string special = "a<|endoftext|>b";
  const std::vector<int32_t> ids = encode(*bpe, special);
  CHECK(bpe->decode(ids) == special);
  CHECK(std::ranges::count(ids, bpe->separator()) == 0);
  CHECK(bpe->decode(std::vector{bpe->separator()}) == "<|endoftext|>");
  CHECK(bpe->text_bytes(bpe->separator()) == 0);
}

TEST_CASE("long texts in parts are the text at once") {
  const auto bpe = tokenizer("llama3");
  std::string line = "the learning rate of a rung, 12345\n", text;
  while (text.size() < (size_t{1} << 20) + 1000) text += line;
  const std::vector<int32_t> one = encode(*bpe, line), all = encode(*bpe, text);
  REQUIRE(all.size() == one.size() * (text.size() / line.size()));
  CHECK(std::equal(one.begin(), one.end(), all.end() - static_cast<std::ptrdiff_t>(one.size())));
}

TEST_CASE("the vocabulary is as large as the model asks, and names tell models apart") {
  CHECK(tokenizer("qwen")->vocabulary() == 421);
  CHECK(tokenizer("qwen", 512)->vocabulary() == 512);
  CHECK(tokenizer("qwen", 512)->decode(std::vector{500}).empty());
  CHECK(tokenizer("qwen")->name() != tokenizer("qwen", 512)->name());
  CHECK(tokenizer("qwen")->name() != tokenizer("gpt2")->name());
}

TEST_CASE("other tokenizers are refused by the name of what they have") {
  const auto holds = [](const std::string& text, const char* part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  holds(after([](Json& j) { j["model"]["type"] = "Unigram"; }), "Received the model Unigram");
  holds(after([](Json& j) { j["model"]["byte_fallback"] = true; }), "byte_fallback");
  holds(after([](Json& j) {
          j["normalizer"] = {{"type", "Lowercase"}};
        }),
        "the normalizer Lowercase");
  holds(after([](Json& j) {
          j["pre_tokenizer"] = {{"type", "Metaspace"}};
        }),
        "the pre-tokenizer Metaspace");
  holds(after([](Json& j) { j["decoder"] = Json(); }), "no decoder");
  holds(after([](Json& j) { j["model"]["vocab"].erase("A"); }), "without 1 of the 256 bytes");
  holds(after([](Json& j) { j["model"]["merges"].push_back("zq qz"); }), "unknown tokens");
  holds(after([](Json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(a"; }),
        "cannot be read");
  holds(message_of([] { bpe_tokenizer("{", "tokenizer.json", 0); }), "cannot be read");
  Json json = read_json(golden("llama3.json"));
  json["added_tokens"] = Json::array();
  const auto endless = bpe_tokenizer(json.dump(), "tokenizer.json", 0);
  holds(message_of([&] { endless->separator(); }), "no token that ends a text");
}

TEST_CASE("a split keeps every byte, and white space is Unicode's") {
  const auto split = split_regex(R"(\s+|\S)");
  using Pieces = std::vector<std::string_view>;
  CHECK(split->split("a\x0b\xc2\x85 b") == Pieces{"a", "\x0b\xc2\x85 ", "b"});
  CHECK(split_regex("b+")->split("abbcb") == Pieces{"a", "bb", "c", "b"});
  CHECK(split->split("").empty());
}
#endif
