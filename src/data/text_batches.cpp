#include "data/text_batches.h"

#include <algorithm>
#include <deque>
#include <future>
#include <thread>

#include "data/read_text.h"

namespace rung {
namespace {

constexpr size_t batch_bytes = size_t{1} << 20;

TextBatch process(std::vector<std::string> documents, const Tokenizer* tokenizer) {
  TextBatch batch{std::move(documents), {}, {}, {}};
  batch.hashes.reserve(batch.documents.size());
  for (const std::string& text : batch.documents) {
    batch.hashes.push_back(hash_document(text));
    if (!tokenizer) continue;
    tokenizer->encode(text, batch.tokens);
    batch.tokens.push_back(tokenizer->separator());
    batch.ends.push_back(batch.tokens.size());
  }
  return batch;
}

}  // namespace

void for_text_batches(const std::filesystem::path& path, const Tokenizer* tokenizer,
                      const std::function<void(TextBatch&)>& consume) {
  const size_t threads = std::clamp<size_t>(std::thread::hardware_concurrency(), 2, 16);
  std::deque<std::future<TextBatch>> running;
  const auto take = [&] {
    TextBatch batch = running.front().get();
    running.pop_front();
    consume(batch);
  };
  std::vector<std::string> documents;
  size_t bytes = 0;
  const auto launch = [&] {
    if (running.size() == threads) take();
    running.push_back(std::async(std::launch::async, process, std::move(documents), tokenizer));
    documents.clear();
    bytes = 0;
  };
  read_documents(path, [&](std::string&& text) {
    bytes += text.size();
    documents.push_back(std::move(text));
    if (bytes >= batch_bytes) launch();
  });
  if (!documents.empty()) launch();
  while (!running.empty()) take();
}

}  // namespace rung
