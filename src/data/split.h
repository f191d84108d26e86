// Which documents are held out: decided by their content alone.
#pragma once
#include <cstdint>
#include <set>
#include <string>

namespace rung {

// A document's digest (SHA-256, hexadecimal) and the number that decides its side.
struct DocumentHash {
  std::string digest;
  uint64_t key = 0;
};
DocumentHash hash_document(const std::string& text);

// Documents whose key is at most the threshold are held out, so equal documents stay on one side.
// The threshold is share * 2^64, raised where needed so that at least 8 distinct documents (half of
// them, when there are fewer than 16) are held out.
class HeldOutRule {
 public:
  explicit HeldOutRule(double share);
  uint64_t start() const { return start_; }  // the threshold unless the data are few
  void see(uint64_t key);                    // once for every document
  uint64_t threshold() const;
  size_t distinct() const { return smallest_.size(); }  // documents seen, counted up to 16

 private:
  uint64_t start_;
  std::set<uint64_t> smallest_;
};

}  // namespace rung
