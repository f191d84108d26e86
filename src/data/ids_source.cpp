#include "data/ids_source.h"

#include <limits>
#include <mutex>

#include "core/error.h"
#include "core/files.h"
#include "data/tokenizer.h"

namespace rung {
namespace {

class IdsSource : public TokenSource {
 public:
  explicit IdsSource(const DataConfig& config)
      : config_(config), file_(fs::is_regular_file(config.tokenizer) ? config.tokenizer : "") {}

  int64_t vocabulary() const override { return config_.vocabulary; }
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
    Json json = {{"path", "none"}, {"vocabulary", vocabulary()}, {"tokenizer_model", file_}};
    if (!file_.empty() || config_.tokenizer == "bytes") json["separator"] = tokenizer().separator();
    return json;
  }

 private:
  [[noreturn]] static void no_text() {
    fail("[data] The run came without text. Give --data PATH.");
  }
  const Tokenizer& tokenizer() const {
    const std::lock_guard lock(mutex_);
    if (!tokenizer_) tokenizer_ = given_tokenizer(config_);
    return *tokenizer_;
  }

  DataConfig config_;
  std::string file_;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace

std::shared_ptr<const TokenSource> ids_source(const DataConfig& config) {
  return std::make_shared<IdsSource>(config);
}

}  // namespace rung
