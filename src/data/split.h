// Which documents are held out: decided by their content alone.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace rung {

// A document's digest (SHA-256, hexadecimal) and the number that decides its side.
struct DocumentHash {
  std::string digest;
  uint64_t key = 0;
};
DocumentHash hash_document(const std::string& text);

// Documents whose key is at most the threshold are held out, so equal documents stay on one side.
// The threshold is share * 2^64, raised where needed so that at least 8 distinct documents and 64
// KiB, or a tenth of a shorter text, are held out; but no more than half of the documents. A share
// of 1 holds out all: a text to evaluate on, which nothing trains on.
class HeldOutRule {
 public:
  explicit HeldOutRule(double share);
  uint64_t start() const { return start_; }  // the threshold unless the data are few
  void see(uint64_t key, size_t bytes);      // once for every document
  uint64_t threshold() const;
  bool all() const { return all_; }
  // Whether there are documents for each side that is wanted.
  bool splits() const { return all_ || enough_ || seen_.size() > 1; }

 private:
  bool all_;
  uint64_t start_;
  bool enough_ = false;                // `start` holds out what is wanted
  std::map<uint64_t, size_t> seen_{};  // bytes by key, of distinct documents until then
  size_t held_documents_ = 0, held_bytes_ = 0;
};

}  // namespace rung
