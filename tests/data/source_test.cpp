#include "data/source.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <set>
#include <thread>

#include "core/random.h"
#include "data/prepare.h"
#include "data/split.h"
#include "data/temporary.h"

namespace rung {
namespace {

// Documents that differ, each with a name that can be found again among tokens.
std::string numbered_text(int documents, int from = 0) {
  std::string text;
  for (int i = from; i < from + documents; ++i) {
    text += "# document <" + std::to_string(i) + ">\n";
    Random random(static_cast<uint64_t>(i), "text");
    for (int w = 0; w < 60; ++w)
      text += "word" + std::to_string(random.below(50)) + (w % 9 ? " " : "\n");
    text += "\n";
  }
  return text;
}

DataConfig config_of(const fs::path& path, const std::string& tokenizer = "bytes") {
  DataConfig config;
  config.path = path.string();
  config.tokenizer = tokenizer;
  config.vocabulary = 320;
  return config;
}

std::string text_of(const TokenSource& source, const Shard& shard) {
  std::vector<int32_t> tokens(static_cast<size_t>(shard.tokens()));
  shard.copy(0, tokens);
  return source.decode(tokens);
}

std::set<std::string> names_in(const std::string& text) {
  std::set<std::string> names;
  for (size_t at = 0; (at = text.find("# document <", at)) != text.npos; ++at)
    names.insert(text.substr(at, text.find('>', at) - at));
  return names;
}

TEST_CASE("held-out and training documents are apart, the same for every tokenizer") {
  const TemporaryFolder folder;
  const fs::path path = folder.write("t.txt", numbered_text(400));
  std::set<std::string> held_before;
  for (const std::string tokenizer : {"bytes", "bpe", "unigram"}) {
#ifndef RUNG_SENTENCEPIECE
    if (tokenizer != "bytes") continue;
#endif
    CAPTURE(tokenizer);
    const DataConfig config = config_of(path, tokenizer);
    const auto source = open_source(config, folder.string());
    const PreparedText text = prepare_text(config, path, folder.string());
    const auto train = names_in(text_of(*source, text.train));
    const auto held = names_in(text_of(*source, text.held_out));
    CHECK(train.size() + held.size() == 400);
    CHECK(held.size() >= 8);
    CHECK(held.size() < 60);
    for (const std::string& name : held) CHECK(!train.contains(name));
    if (!held_before.empty()) CHECK(held == held_before);
    held_before = held;
    // One separator after each document, and nothing else lost: the text's bytes are all there.
    CHECK(text.train.text_bytes() + text.held_out.text_bytes() ==
          static_cast<int64_t>(fs::file_size(path)));
    CHECK(text.train.counts()[static_cast<size_t>(text.tokenizer->separator())] ==
          static_cast<uint64_t>(text.train.documents()));
  }
}

TEST_CASE("equal documents stay on one side, and adding text moves no document") {
  const TemporaryFolder folder;
  const fs::path path = folder.write("t.txt", numbered_text(300) + numbered_text(300));
  DataConfig config = config_of(path);
  config.held_out = 0.2;
  const auto source = open_source(config, folder.string());
  const PreparedText twice = prepare_text(config, path, folder.string());
  const auto held = names_in(text_of(*source, twice.held_out));
  const auto train = names_in(text_of(*source, twice.train));
  CHECK(held.size() + train.size() == 300);
  const fs::path more = folder.write("m.txt", numbered_text(500));
  const auto larger = open_source(config_of(more), folder.string());
  config.path = more.string();
  const PreparedText added = prepare_text(config, more, folder.string());
  const auto held_more = names_in(text_of(*source, added.held_out));
  CHECK(std::ranges::includes(held_more, held));
}

TEST_CASE("windows are slices of the training stream and share one token") {
  const TemporaryFolder folder;
  const fs::path path = folder.write("t.txt", numbered_text(200));
  const DataConfig config = config_of(path);
  const auto source = open_source(config, folder.string());
  const PreparedText text = prepare_text(config, path, folder.string());
  const int64_t n = source->sequences(32);
  CHECK(n == (text.train.tokens() - 1) / 32);
  std::vector<int32_t> first(33), second(33), last(33);
  source->read(0, first);
  source->read(1, second);
  source->read(n - 1, last);
  CHECK(first.back() == second.front());
  CHECK(source->decode(first).starts_with("# document <"));
  CHECK(message_of([&] { source->read(n, last); }) != "");
  CHECK(message_of([&] { source->read(-1, last); }) != "");
}

TEST_CASE("held-out windows are whole, spread over the documents, and labelled by document") {
  const TemporaryFolder folder;
  const fs::path path = folder.write("t.txt", numbered_text(500));
  DataConfig config = config_of(path);
  config.held_out = 0.1;
  const auto source = open_source(config, folder.string());
  const HeldOut held = source->held_out(16, 1000);
  CHECK(held.windows() == 62);
  CHECK(held.tokens.size() == 62 * 17);
  CHECK(held.document.size() == 62 * 16);
  CHECK(std::ranges::is_sorted(held.document));
  const std::set<int32_t> named(held.document.begin(), held.document.end());
  const auto all = source->describe().at("held_out_documents").get<size_t>();
  CHECK(named.size() * 10 >= all * 9);
  for (int64_t w = 0; w < held.windows();
       ++w)  // the document changes after a separator, and only there
    for (int64_t t = 1; t < 16; ++t) {
      const auto target = static_cast<size_t>(w * 16 + t);
      const bool after_separator = held.tokens[static_cast<size_t>(w * 17 + t)] == 0;
      CHECK((held.document[target] != held.document[target - 1]) == after_separator);
    }
  CHECK(held.sha256 == open_source(config, folder.string())->held_out(16, 1000).sha256);
  CHECK(held.sha256 != source->held_out(16, 900).sha256);
  CHECK(held.bytes_per_token > 0.98);
  CHECK(held.bytes_per_token <= 1.0);
  CHECK(held.unigram_loss > 2.0);
  CHECK(held.unigram_loss < std::log(256.0));
  CHECK(std::isnan(held.entropy));
  const HeldOut whole = source->held_out(16, 1'000'000'000);
  CHECK(whole.windows() == (source->describe().at("held_out_tokens").get<int64_t>() - 1) / 16);
  CHECK(has(message_of([&] { (void)source->held_out(10'000'000, 1); }), "shorter than one window"));
}

TEST_CASE("damaged or missing cache files are made again") {
  const TemporaryFolder folder;
  const fs::path path = folder.write("t.txt", numbered_text(200)), cache = folder / "cache";
  const DataConfig config = config_of(path);
  const auto before = open_source(config, cache.string());
  const std::string digest = before->held_out(16, 1000).sha256;
  const std::string bytes = read_file(prepare_text(config, path, cache).train_path);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(cache)) files.push_back(entry.path());
  CHECK(files.size() == 3);
  for (const fs::path& file : files)
    for (int damage = 0; damage < 4; ++damage) {
      CAPTURE(file);
      CAPTURE(damage);
      std::string content = read_file(file);
      if (damage == 0) content.resize(content.size() / 2);
      if (damage == 1)
        content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 0x40);
      if (damage == 2) content.clear();
      if (damage == 3) content[9] = static_cast<char>(content[9] ^ 1);
      write_file(file, content);
      CHECK(open_source(config, cache.string())->held_out(16, 1000).sha256 == digest);
      CHECK(read_file(prepare_text(config, path, cache).train_path) == bytes);
    }
  for (const auto& entry : fs::directory_iterator(cache)) CHECK(entry.path().extension() != ".tmp");
}

TEST_CASE("a second opening reads no text; a changed file is seen") {
  const TemporaryFolder folder;
  const fs::path path = folder.write("t.txt", numbered_text(100)), cache = folder / "cache";
  const auto first = open_source(config_of(path), cache.string());
  const auto time = fs::last_write_time(path);
  std::string other = read_file(path);
  std::ranges::replace(other, 'w', 'v');
  write_file(path, other);
  fs::last_write_time(path, time);  // same path, size and time: taken from the cache
  CHECK(open_source(config_of(path), cache.string())->describe() == first->describe());
  fs::last_write_time(path, time + std::chrono::seconds(2));
  CHECK(open_source(config_of(path), cache.string())->describe().at("sha256") !=
        first->describe().at("sha256"));
}

#ifdef RUNG_SENTENCEPIECE
TEST_CASE("a tokenizer is trained once and opens by its path") {
  const TemporaryFolder folder;
  const fs::path path = folder.write("t.txt", numbered_text(200)), cache = folder / "cache";
  const auto first = open_source(config_of(path, "bpe"), cache.string());
  const fs::path model = first->describe().at("tokenizer_model").get<std::string>();
  const auto time = fs::last_write_time(model);
  const auto second = open_source(config_of(path, "bpe"), cache.string());
  CHECK(fs::last_write_time(model) == time);
  const auto named = open_source(config_of(path, model.string()), cache.string());
  CHECK(named->held_out(16, 500).sha256 == first->held_out(16, 500).sha256);
  const std::string good = read_file(model);
  write_file(model, "damaged");
  CHECK(open_source(config_of(path, "bpe"), cache.string())->describe() == first->describe());
  CHECK(read_file(model) == good);
}
#endif

TEST_CASE("data that cannot be split, and settings that cannot be, say so") {
  const TemporaryFolder folder;
  const auto open = [&](const DataConfig& config) {
    return message_of([&] { open_source(config, folder / "cache"); });
  };
  CHECK(has(open(config_of(folder / "nothing")), "does not exist"));
  CHECK(has(open(config_of(folder.write("one.txt", "# one\ntext"))), "holds one document"));
  CHECK(has(open(config_of(folder.write("same.txt", "# a\n# a\n# a\n"))), "holds one document"));
  CHECK(open(config_of(folder.write("two.txt", "# one\n# two\n"))).empty());
  CHECK(has(open(config_of(folder / "two.txt", "words")), "Unknown tokenizer"));
  CHECK(has(open(config_of(folder / "two.txt", folder / "one.txt")), "no SentencePiece model"));
  DataConfig config = config_of(folder / "two.txt");
  config.held_out = 1.5;
  CHECK(has(open(config), "held_out must lie"));
  config.held_out = 0.02;
  CHECK(has(message_of([&] { open_source(config, folder / "two.txt"); }), "cache folder"));
}

TEST_CASE("threads may open and read one source at once") {
  const TemporaryFolder folder;
  const fs::path path = folder.write("t.txt", numbered_text(100));
  std::vector<std::string> digests(4);
  {
    std::vector<std::jthread> threads;
    for (auto& digest : digests)
      threads.emplace_back(
          [&] { digest = open_source(config_of(path), folder / "c")->held_out(8, 500).sha256; });
  }
  for (const auto& digest : digests) CHECK(digest == digests[0]);
}

TEST_CASE("the order is a permutation of each epoch, keyed by seed") {
  for (const int64_t n : {1, 2, 7, 100, 1025}) {
    std::set<int64_t> first, second;
    int64_t moved = 0;
    for (int64_t i = 0; i < n; ++i) {
      first.insert(sequence_at(i, n, 3));
      second.insert(sequence_at(n + i, n, 3));
      moved += sequence_at(i, n, 3) != sequence_at(n + i, n, 3) ||
               sequence_at(i, n, 4) != sequence_at(i, n, 3);
    }
    CHECK(static_cast<int64_t>(first.size()) == n);
    CHECK(*first.begin() == 0);
    CHECK(*first.rbegin() == n - 1);
    CHECK(first == second);
    if (n >= 100) CHECK(moved > n / 2);
  }
  constexpr int64_t endless = std::numeric_limits<int64_t>::max();
  std::set<int64_t> seen;
  for (int64_t i = 0; i < 1000; ++i) seen.insert(sequence_at(i, endless, 1));
  CHECK(seen.size() == 1000);
  CHECK(message_of([] { sequence_at(-1, 5, 1); }) != "");
}

TEST_CASE("the default text opens" * doctest::test_suite("slow")) {
  const TemporaryFolder folder;
  const auto source = open_source(DataConfig{}, folder.string());
  CHECK(source->describe().at("bytes").get<int64_t>() > 35'000'000);
  CHECK(source->held_out(128, 65536).windows() == 512);
}

}  // namespace
}  // namespace rung
