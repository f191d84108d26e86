#include "data/text_source.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/hash.h"

namespace rung {
namespace {

class TextSource : public TokenSource {
 public:
  TextSource(std::string path, PreparedText text)
      : path_(std::move(path)), text_(std::move(text)) {}

  int64_t vocabulary() const override { return text_.tokenizer->vocabulary(); }

  int64_t sequences(int64_t context) const override {
    return std::max<int64_t>(0, windows(text_.train, context));
  }

  void read(int64_t index, std::span<int32_t> out) const override {
    const int64_t context = static_cast<int64_t>(out.size()) - 1;
    if (context < 1 || index < 0 || index >= sequences(context))
      fail("[data] There is no training window {} of {} tokens. Received {} windows.", index,
           context, sequences(std::max<int64_t>(1, context)));
    text_.train.copy(index * context, out);
  }

  HeldOut held_out(int64_t context, int64_t tokens) const override;

  std::vector<int32_t> encode(const std::string& text) const override {
    std::vector<int32_t> tokens;
    text_.tokenizer->encode(text, tokens);
    return tokens;
  }
  std::string decode(std::span<const int32_t> tokens) const override {
    return text_.tokenizer->decode(tokens);
  }
  double entropy(int64_t) const override { return std::numeric_limits<double>::quiet_NaN(); }
  Json describe() const override;

 private:
  static int64_t windows(const Shard& shard, int64_t context) {
    return (shard.tokens() - 1) / context;
  }
  void measure(HeldOut& held_out) const;
  std::string path_;
  PreparedText text_;
};

HeldOut TextSource::held_out(int64_t context, int64_t tokens) const {
  if (context < 1) fail_usage("[data] The context must be positive. Received {}.", context);
  const Shard& shard = text_.held_out;
  const int64_t have = windows(shard, context);
  if (have < 1)
    fail(
        "[data] The held-out text is shorter than one window. Received {} tokens for a context of "
        "{}. Give more text, a larger data.held_out or a shorter context.",
        shard.tokens(), context);
  const int64_t wanted = std::clamp<int64_t>(tokens / context, 1, have);
  HeldOut result;
  result.context = context;
  result.tokens.resize(static_cast<size_t>(wanted * (context + 1)));
  result.document.reserve(static_cast<size_t>(wanted * context));
  const std::span<const uint64_t> ends = shard.ends();
  for (int64_t i = 0; i < wanted; ++i) {
    // The middle of each of `wanted` equal stretches of the held-out stream: documents weigh by
    // their length.
    const int64_t begin = (2 * i + 1) * have / (2 * wanted) * context;
    shard.copy(begin, std::span(result.tokens)
                          .subspan(static_cast<size_t>(i * (context + 1)),
                                   static_cast<size_t>(context + 1)));
    auto document = std::ranges::upper_bound(ends, static_cast<uint64_t>(begin + 1));
    for (int64_t t = begin + 1; t <= begin + context; ++t) {
      if (static_cast<uint64_t>(t) >= *document) ++document;
      result.document.push_back(static_cast<int32_t>(document - ends.begin()));
    }
  }
  measure(result);
  return result;
}

void TextSource::measure(HeldOut& held_out) const {
  const auto* bytes = reinterpret_cast<const char*>(held_out.tokens.data());
  held_out.sha256 = sha256(std::string_view(bytes, held_out.tokens.size() * sizeof(int32_t)));
  const std::span<const uint64_t> counts = text_.train.counts();
  const double total = static_cast<double>(text_.train.tokens() + vocabulary());
  std::vector<double> loss(counts.size());
  for (size_t v = 0; v < counts.size(); ++v)
    loss[v] = -std::log((static_cast<double>(counts[v]) + 1.0) / total);
  double loss_sum = 0.0;
  int64_t byte_sum = 0, targets = 0;
  const auto stride = static_cast<size_t>(held_out.context + 1);
  for (size_t i = 0; i < held_out.tokens.size(); ++i) {
    if (i % stride == 0) continue;  // a window's first token is no target
    loss_sum += loss[static_cast<size_t>(held_out.tokens[i])];
    byte_sum += text_.tokenizer->text_bytes(held_out.tokens[i]);
    ++targets;
  }
  held_out.bytes_per_token = static_cast<double>(byte_sum) / static_cast<double>(targets);
  // Of the training text's counts, where there is any.
  held_out.unigram_loss =
      text_.train.tokens() > 0 ? loss_sum / static_cast<double>(targets) : std::nan("");
}

Json TextSource::describe() const {
  return Json{{"path", path_},
              {"tokenizer", text_.tokenizer->name()},
              {"tokenizer_model", text_.model.string()},
              {"vocabulary", vocabulary()},
              {"separator", text_.tokenizer->separator()},
              {"documents", text_.train.documents()},
              {"tokens", text_.train.tokens()},
              {"bytes", text_.train.text_bytes()},
              {"held_out_documents", text_.held_out.documents()},
              {"held_out_tokens", text_.held_out.tokens()},
              {"held_out_bytes", text_.held_out.text_bytes()},
              {"sha256", text_.content},
              {"train_shard", text_.train_path.string()},
              {"held_out_shard", text_.held_out_path.string()}};
}

}  // namespace

std::shared_ptr<const TokenSource> text_source(std::string path, PreparedText text) {
  return std::make_shared<TextSource>(std::move(path), std::move(text));
}

}  // namespace rung
