// Training of SentencePiece vocabularies: which characters get a piece, the lines that it learns
// from, its settings.
#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "core/error.h"
#include "core/utf8.h"
#include "data/sentencepiece.h"
#include "data/tokenizer.h"

#ifdef RUNG_SENTENCEPIECE
#include <sentencepiece_trainer.h>
#endif

namespace rung {
#ifdef RUNG_SENTENCEPIECE
namespace {

// Length in bytes of the character that begins at `at` (valid UTF-8).
size_t character_at(std::string_view text, size_t at) {
  size_t length = 1;
  while (at + length < text.size() && (static_cast<uint8_t>(text[at + length]) & 0xC0) == 0x80)
    ++length;
  return length;
}

// The characters that get a piece of their own: 99.95 % of the text, but at most half of what the
// 256 bytes and two symbols leave. Rarer ones are spelt in bytes. SentencePiece's own coverage
// cannot go below 98 %.
std::set<std::string, std::less<>> alphabet(const std::vector<std::string>& documents,
                                            int64_t vocabulary) {
  std::map<std::string_view, int64_t> counts;
  int64_t total = 0, covered = 0;
  for (const std::string& text : documents)
    for (size_t i = 0, length = 0; i < text.size(); i += length, ++total)
      ++counts[std::string_view(text).substr(i, length = character_at(text, i))];
  std::vector<std::pair<int64_t, std::string_view>> sorted;
  for (const auto& [character, count] : counts) sorted.emplace_back(-count, character);
  std::ranges::sort(sorted);
  const auto room = static_cast<size_t>(std::max<int64_t>(1, (vocabulary - 258) / 2));
  std::set<std::string, std::less<>> result;
  for (const auto& [negative, character] : sorted) {
    if (result.size() == room || 10000 * covered >= 9995 * total) break;
    if (valid_utf8_prefix(character) == character.size() && character != space_symbol)
      result.emplace(character);
    covered -= negative;
  }
  return result;
}

// Lines of the documents, each with the line breaks that follow it so that pieces may hold them,
// cut at characters outside the alphabet and at 4 KiB.
class Lines : public sentencepiece::SentenceIterator {
 public:
  Lines(const std::vector<std::string>& documents, int64_t vocabulary)
      : documents_(documents), alphabet_(alphabet(documents, vocabulary)) {
    Next();
  }
  bool done() const override { return done_; }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }
  void Next() override {
    line_.clear();
    for (; document_ < documents_.size(); ++document_, at_ = 0) {
      const std::string_view text = documents_[document_];
      while (at_ < text.size()) {
        const std::string_view character = text.substr(at_, character_at(text, at_));
        if (!line_.empty() && line_.back() == '\n' && character != "\n") return;
        at_ += character.size();
        if (alphabet_.contains(character)) {
          line_ += character;
          if (line_.size() < 4096) continue;
        }
        if (!line_.empty()) return;
      }
      if (!line_.empty()) return;
    }
    done_ = true;
  }

 private:
  const std::vector<std::string>& documents_;
  std::set<std::string, std::less<>> alphabet_;
  size_t document_ = 0, at_ = 0;
  std::string line_;
  bool done_ = false;
};

}  // namespace

std::string train_sentencepiece(const std::string& kind, int64_t vocabulary,
                                const std::vector<std::string>& documents) {
  if (vocabulary < 272)
    fail_usage(
        "[tokenizer] A {} vocabulary holds 256 bytes, two symbols and pieces. Received {}. Give at "
        "least 272.",
        kind, vocabulary);
  const std::unordered_map<std::string, std::string> settings = {
      {"model_type", kind},
      {"vocab_size", std::to_string(vocabulary)},
      {"character_coverage", "1"},
      {"byte_fallback", "true"},
      {"normalization_rule_name", "identity"},
      {"add_dummy_prefix", "false"},
      {"remove_extra_whitespaces", "false"},
      {"allow_whitespace_only_pieces", "true"},
      {"split_by_whitespace", "true"},
      {"max_sentence_length", "65536"},
      {"input_sentence_size", "0"},
      {"shuffle_input_sentence", "false"},
      {"num_threads", "2"},
      {"unk_id", "0"},
      {"eos_id", "1"},
      {"bos_id", "-1"},
      {"pad_id", "-1"},
      {"minloglevel", "4"}};
  Lines lines(documents, vocabulary);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(settings, &lines, &model);
  if (!status.ok())
    fail(
        "[tokenizer] SentencePiece cannot make a {} vocabulary of {} from this text: {} Choose "
        "another size.",
        kind, vocabulary, status.ToString());
  return model;
}

#else

std::string train_sentencepiece(const std::string& kind, int64_t, const std::vector<std::string>&) {
  fail(
      "[tokenizer] This build lacks SentencePiece, which {} needs. Install libsentencepiece-dev or "
      "use bytes.",
      kind);
}

#endif
}  // namespace rung
