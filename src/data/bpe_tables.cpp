#include "data/bpe_tables.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"
#include "core/json_reason.h"
#include "data/byte_alphabet.h"

namespace rung {
namespace {

// GPT-2's own split, which ByteLevel stands for where no other is given.
constexpr const char* gpt2_split =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct BpeReader {
  const std::string& file;
  BpeTables tables{};

  [[noreturn]] void unsupported(const std::string& what) const {
    fail(
        "[tokenizer] {} is read as byte-level BPE only. Received {}. `rung logits` needs no "
        "tokenizer.",
        file, what);
  }
  void read_model(const Json& model);
  void read_merges(const Json& merges);
  void read_added(const Json& added);
  void read_steps(const Json& json);
  void read_splits(const Json& step);
};

void BpeReader::read_model(const Json& model) {
  const std::string type = model.value("type", "");
  if (type != "BPE")
    unsupported(fmt::format("the model {}", type.empty() ? "without a type" : type));
  if (model.value("byte_fallback", false)) unsupported("byte_fallback");
  for (const char* key :
       {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"})
    if (model.contains(key) && !model.at(key).is_null() && model.at(key) != "")
      unsupported(fmt::format("{} = {}", key, model.at(key).dump()));
  tables.whole_words = model.value("ignore_merges", false);
  tables.bytes.fill(-1);
  for (const auto& [entry, number] : model.at("vocab").items()) {
    const auto id = number.get<int64_t>();
    if (id < 0 || id > (1 << 24)) unsupported(fmt::format("the token id {}", id));
    if (static_cast<size_t>(id) >= tables.pieces.size())
      tables.pieces.resize(static_cast<size_t>(id) + 1);
    const std::string bytes = spelt_bytes(entry);
    tables.pieces[static_cast<size_t>(id)] = bytes.empty() ? entry : bytes;
    if (bytes.empty()) continue;
    tables.ids[bytes] = static_cast<int32_t>(id);
    if (bytes.size() == 1) tables.bytes[static_cast<uint8_t>(bytes[0])] = static_cast<int32_t>(id);
  }
  if (std::ranges::count(tables.bytes, -1) > 0)
    unsupported(fmt::format("a vocabulary without {} of the 256 bytes",
                            std::ranges::count(tables.bytes, -1)));
  read_merges(model.at("merges"));
}

void BpeReader::read_merges(const Json& merges) {
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
    const auto l = tables.ids.find(left), r = tables.ids.find(right),
               both = tables.ids.find(left + right);
    if (l == tables.ids.end() || r == tables.ids.end() || both == tables.ids.end())
      unsupported(fmt::format("a merge of unknown tokens, {}", merge.dump()));
    tables.merges.try_emplace(bpe_pair(l->second, r->second),
                              BpeTables::Merge{rank++, both->second});
  }
}

// Special tokens stand for nothing in a text, so that no text makes them.
void BpeReader::read_added(const Json& added) {
  for (const Json& token : added) {
    const auto id = token.at("id").get<int64_t>();
    const std::string content = token.at("content").get<std::string>();
    if (id < 0 || id > (1 << 24) || content.empty())
      unsupported(fmt::format("the added token {}", token.dump()));
    if (static_cast<size_t>(id) >= tables.pieces.size())
      tables.pieces.resize(static_cast<size_t>(id) + 1);
    tables.pieces[static_cast<size_t>(id)] = content;
    if (token.value("special", false)) {
      tables.special.push_back(static_cast<int32_t>(id));
      if (const auto found = tables.ids.find(content);
          found != tables.ids.end() && found->second == id && content.size() > 1)
        tables.ids.erase(found);
      continue;
    }
    for (const char* key : {"lstrip", "rstrip", "single_word"})
      if (token.value(key, false)) unsupported(fmt::format("an added token with {}", key));
    tables.added.emplace_back(content, static_cast<int32_t>(id));
  }
  std::ranges::sort(tables.added, [](const auto& a, const auto& b) {
    return std::pair(b.first.size(), a.first) < std::pair(a.first.size(), b.first);
  });
  // What the authors of these tokenizers end a document with.
  for (const char* end : {"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"})
    for (const int32_t id : tables.special)
      if (tables.separator < 0 && tables.pieces[static_cast<size_t>(id)] == end)
        tables.separator = id;
}

void BpeReader::read_splits(const Json& step) {
  const std::string type = step.value("type", "");
  if (type == "Sequence") {
    for (const Json& inner : step.at("pretokenizers")) read_splits(inner);
  } else if (type == "Split") {
    const Json& pattern = step.at("pattern");
    if (!pattern.contains("Regex") || step.value("behavior", "") != "Isolated" ||
        step.value("invert", false))
      unsupported(fmt::format("the pre-tokenizer {}", step.dump()));
    tables.splits.push_back(split_regex(pattern.at("Regex").get<std::string>()));
  } else if (type == "ByteLevel") {
    if (step.value("add_prefix_space", true)) unsupported("add_prefix_space");
    if (step.value("use_regex", true)) tables.splits.push_back(split_regex(gpt2_split));
  } else {
    unsupported(fmt::format("the pre-tokenizer {}", type));
  }
}

void BpeReader::read_steps(const Json& json) {
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

}  // namespace

BpeTables read_bpe_tables(const std::string& text, const std::string& name) {
  BpeReader reader{name};
  try {
    const Json json = Json::parse(text);
    reader.read_model(json.at("model"));
    reader.read_added(json.value("added_tokens", Json::array()));
    reader.read_steps(json);
  } catch (const Json::exception& error) {
    fail("[tokenizer] {} cannot be read: {}.", name, json_reason(error));
  }
  return std::move(reader.tables);
}

}  // namespace rung
