#include "data/split.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "core/random.h"

namespace rung {
namespace {

struct Document {
  uint64_t key;
  size_t bytes;
};

std::vector<Document> documents_of(size_t count, size_t bytes, uint64_t seed) {
  std::vector<Document> documents;
  Random random(seed, "documents");
  for (size_t i = 0; i < count; ++i) documents.push_back({random.below(1u << 31) << 33 | i, bytes});
  return documents;
}

struct Held {
  uint64_t threshold = 0;
  size_t documents = 0, bytes = 0;
};

Held held_of(const std::vector<Document>& documents, double share) {
  HeldOutRule rule(share);
  for (const Document& d : documents) rule.see(d.key, d.bytes);
  Held held{.threshold = rule.threshold()};
  for (const Document& d : documents)
    if (d.key <= held.threshold) ++held.documents, held.bytes += d.bytes;
  return held;
}

}  // namespace

TEST_CASE("a text of many documents holds out the share that was asked for") {
  const Held held = held_of(documents_of(20'000, 1000, 1), 0.02);
  CHECK(held.threshold == HeldOutRule(0.02).start());
  CHECK(held.documents > 300);
  CHECK(held.documents < 500);
}

TEST_CASE("where the share holds little, more is held out: 8 documents and 64 KiB or a tenth") {
  // The share's few documents hold next to nothing: most of the text lies in others.
  std::vector<Document> skewed = documents_of(400, 100, 2);
  const uint64_t start = HeldOutRule(0.02).start();
  for (Document& d : skewed)
    if (d.key > start && d.key % 4 == 0) d.bytes = 40'000;
  const Held held = held_of(skewed, 0.02);
  CHECK(held.documents >= 8);
  CHECK(held.bytes >= 65536);
  CHECK(held.bytes < 65536 + 40'000);
  // Of a short text a tenth, of large documents 8, of fewer than 16 half.
  const Held tenth = held_of(documents_of(300, 100, 3), 0.001);
  CHECK(tenth.documents == 30);
  CHECK(held_of(documents_of(40, 20'000, 4), 0.001).documents == 8);
  for (const size_t count : {2, 3, 7, 15})
    CHECK(held_of(documents_of(count, 5000, 5), 0.001).documents == count / 2);
}

TEST_CASE("what is held out depends neither on the order of documents nor on repeats") {
  std::vector<Document> documents = documents_of(200, 1000, 6);
  const uint64_t threshold = held_of(documents, 0.01).threshold;
  std::ranges::reverse(documents);
  CHECK(held_of(documents, 0.01).threshold == threshold);
  documents.insert(documents.end(), documents.begin(), documents.begin() + 100);
  CHECK(held_of(documents, 0.01).threshold == threshold);
  HeldOutRule same(0.5);
  for (int i = 0; i < 10; ++i) same.see(7, 100);
  CHECK_FALSE(same.splits());
}

}  // namespace rung
