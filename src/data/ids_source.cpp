#include "data/ids_source.h"

#include <limits>
#include <mutex>

#include "core/error.h"

namespace rung {
namespace {

class IdsSource : public TokenSource {
 public:
  IdsSource(int64_t vocabulary, std::string file, std::function<std::unique_ptr<Tokenizer>()> open)
      : vocabulary_(vocabulary), file_(std::move(file)), open_(std::move(open)) {}

  int64_t vocabulary() const override { return vocabulary_; }
  int64_t sequences(int64_t) const override { return 0; }
  void read(int64_t, std::span<int32_t>) const override { no_text(); }
  HeldOut held_out(int64_t, int64_t) const override { no_text(); }
  std::vector<int32_t> encode(const std::string& text) const override {
    std::vector<int32_t> tokens;
    tokenizer().encode(text, tokens);
    return tokens;
  }
  std::string decode(std::span<const int32_t> tokens) const override {
    return tokenizer().decode(tokens);
  }
  double entropy(int64_t) const override { return std::numeric_limits<double>::quiet_NaN(); }
  Json describe() const override {
    Json json = {{"path", "none"}, {"vocabulary", vocabulary_}, {"tokenizer_model", file_}};
    if (!file_.empty()) json["separator"] = tokenizer().separator();
    return json;
  }

 private:
  [[noreturn]] static void no_text() {
    fail("[data] The run came without text. Give --data PATH.");
  }
  const Tokenizer& tokenizer() const {
    const std::lock_guard lock(mutex_);
    if (!tokenizer_) tokenizer_ = open_();
    return *tokenizer_;
  }

  int64_t vocabulary_;
  std::string file_;
  std::function<std::unique_ptr<Tokenizer>()> open_;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace

std::shared_ptr<const TokenSource> ids_source(int64_t vocabulary, std::string file,
                                              std::function<std::unique_ptr<Tokenizer>()> open) {
  return std::make_shared<IdsSource>(vocabulary, std::move(file), std::move(open));
}

}  // namespace rung
