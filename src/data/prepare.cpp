#include "data/prepare.h"

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json.h"
#include "data/read_text.h"
#include "data/sample_text.h"
#include "data/split.h"
#include "data/text_batches.h"

namespace rung {
namespace {

// What one pass over the text finds out, whatever the tokenizer.
struct Scan {
  std::string content;
  uint64_t threshold = 0;  // of HeldOutRule
  bool known() const { return !content.empty(); }
};

// Follows a pass over the text and ends as its Scan.
class ScanBuilder {
 public:
  explicit ScanBuilder(double share) : rule_(share) {}
  void see(const DocumentHash& hash, size_t bytes) {
    rule_.see(hash.key, bytes);
    content_ = sha256(content_ + hash.digest);
  }
  Scan finish(const fs::path& path) const {
    if (!rule_.splits())
      fail(
          "[data] {} holds one document; training and held-out text need one each. Give a longer "
          "text, a file instead of a folder of one, or a .jsonl. `rung eval --held-out 1` "
          "evaluates on all of it.",
          path.string());
    return {content_, rule_.threshold()};
  }

 private:
  HeldOutRule rule_;
  std::string content_;
};

// Names what the text is by where it lies, its sizes and times: a change of any is a new scan.
fs::path scan_path(const fs::path& cache, const fs::path& path, double share) {
  std::string facts = fmt::format("text 2 {} {}\n", share, fs::weakly_canonical(path).string());
  for (const TextFile& file : list_text_files(path))
    facts += fmt::format("{}\t{}\t{}\n", file.relative, file.size, file.changed);
  return cache / ("scan-" + sha256(facts).substr(0, 16) + ".json");
}

// The scan of an earlier opening; unknown when there is none or it is damaged: the text is read
// again.
void load_scan(const fs::path& path, Scan& scan) {
  if (!fs::exists(path)) return;
  try {
    const Json json = read_json(path);
    json.at("threshold").get_to(scan.threshold);
    json.at("content").get_to(scan.content);
  } catch (const std::exception&) {
    scan.content.clear();
  }
  if (scan.content.size() != 64) scan.content.clear();
}

void save_scan(const fs::path& path, const Scan& scan) {
  write_json(path, Json{{"content", scan.content}, {"threshold", scan.threshold}});
}

std::string stem(const Scan& scan) {
  return fmt::format("{}-{:016x}", scan.content.substr(0, 16), scan.threshold);
}

struct Making {
  const DataConfig& config;
  fs::path path, cache, scan_file;
  Scan scan;
};

bool is_trained(const std::string& tokenizer) {
  return tokenizer == "bpe" || tokenizer == "unigram";
}

std::unique_ptr<Tokenizer> load_trained(const fs::path& path) {
  if (!fs::exists(path)) return nullptr;
  try {
    return sentencepiece_tokenizer(read_file(path), path.string());
  } catch (const Error&) {
    return nullptr;  // damaged: trained again
  }
}

// Loads the cached tokenizer of this text, or trains it on a sample of the training documents.
std::unique_ptr<Tokenizer> trained_tokenizer(Making& making, fs::path& model) {
  const auto name = [&] {
    return making.cache / fmt::format("{}-{}-{}.model", stem(making.scan), making.config.tokenizer,
                                      making.config.vocabulary);
  };
  if (making.scan.known()) {
    model = name();
    if (auto tokenizer = load_trained(model)) return tokenizer;
  }
  ScanBuilder builder(making.config.held_out);
  TextSample sample;
  for_text_batches(making.path, nullptr, [&](TextBatch& batch) {
    for (size_t i = 0; i < batch.documents.size(); ++i) {
      builder.see(batch.hashes[i], batch.documents[i].size());
      sample.see(batch.documents[i], batch.hashes[i].key);
    }
  });
  making.scan = builder.finish(making.path);
  save_scan(making.scan_file, making.scan);
  model = name();
  if (auto tokenizer = load_trained(model)) return tokenizer;
  const std::vector<std::string> pieces = sample.training_pieces(making.scan.threshold);
  write_file(model, train_sentencepiece(making.config.tokenizer, making.config.vocabulary, pieces));
  return sentencepiece_tokenizer(read_file(model), model.string());
}

std::unique_ptr<Tokenizer> find_tokenizer(Making& making, fs::path& model) {
  const std::string& kind = making.config.tokenizer;
  if (is_trained(kind)) return trained_tokenizer(making, model);
  std::unique_ptr<Tokenizer> given = given_tokenizer(making.config);
  if (given->name() != "bytes") model = kind;
  return given;
}

fs::path shard_path(const Making& making, const Tokenizer& tokenizer, const char* part) {
  return making.cache / fmt::format("{}-{}.{}.tokens", stem(making.scan), tokenizer.name(), part);
}

bool open_shards(const Making& making, PreparedText& text) {
  if (!making.scan.known()) return false;
  text.content = making.scan.content;
  text.train_path = shard_path(making, *text.tokenizer, "train");
  text.held_out_path = shard_path(making, *text.tokenizer, "held_out");
  const int64_t vocabulary = text.tokenizer->vocabulary();
  auto train = Shard::open(text.train_path, text.content, vocabulary);
  auto held_out = Shard::open(text.held_out_path, text.content, vocabulary);
  if (!train || !held_out) return false;
  text.train = std::move(*train);
  text.held_out = std::move(*held_out);
  return true;
}

// One pass that writes both shards. Returns false when the data turn out to be so few that the
// held-out threshold has to rise: the caller repeats with the scan now known.
bool make_shards(Making& making, const Tokenizer& tokenizer) {
  const uint64_t threshold =
      making.scan.known() ? making.scan.threshold : HeldOutRule(making.config.held_out).start();
  ScanBuilder builder(making.config.held_out);
  ShardWriter train(making.cache, tokenizer.vocabulary(), false);
  ShardWriter held_out(making.cache, tokenizer.vocabulary(), true);
  for_text_batches(making.path, &tokenizer, [&](TextBatch& batch) {
    size_t begin = 0;
    for (size_t i = 0; i < batch.documents.size(); ++i) {
      builder.see(batch.hashes[i], batch.documents[i].size());
      ShardWriter& part = batch.hashes[i].key <= threshold ? held_out : train;
      part.append(std::span(batch.tokens).subspan(begin, batch.ends[i] - begin),
                  batch.documents[i].size());
      begin = batch.ends[i];
    }
  });
  making.scan = builder.finish(making.path);
  if (making.scan.threshold != threshold) return false;
  if ((train.documents() == 0 && making.config.held_out != 1.0) || held_out.documents() == 0)
    fail("[data] {} leaves no {} document at held_out = {}. Give more text or another share.",
         making.path.string(), train.documents() == 0 ? "training" : "held-out",
         making.config.held_out);
  train.commit(shard_path(making, tokenizer, "train"), making.scan.content);
  held_out.commit(shard_path(making, tokenizer, "held_out"), making.scan.content);
  save_scan(making.scan_file, making.scan);
  return true;
}

}  // namespace

PreparedText prepare_text(const DataConfig& config, const fs::path& path, const fs::path& cache) {
  std::error_code error;
  fs::create_directories(cache, error);
  if (error)
    fail(
        "[data] Cannot make the cache folder {}: {}. Set RUNG_CACHE to a folder that can be "
        "written.",
        cache.string(), error.message());
  HeldOutRule{config.held_out};  // checks the share before any work
  const fs::path scan_file = scan_path(cache, path, config.held_out);
  Making making{config, path, cache, scan_file, {}};
  load_scan(scan_file, making.scan);
  PreparedText text;
  text.tokenizer = find_tokenizer(making, text.model);
  if (open_shards(making, text)) return text;
  for (int attempt = 0; attempt < 3; ++attempt)
    if (make_shards(making, *text.tokenizer) && open_shards(making, text)) return text;
  fail("[data] {} changed while it was read, or the cache {} cannot keep it. Try again.",
       path.string(), cache.string());
}

}  // namespace rung
