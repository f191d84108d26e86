// A bounded sample of a text's training documents, the same in whatever order they come.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rung {

// Keeps the 16 KiB pieces whose hashed rank is smallest, up to a number of bytes.
class TextSample {
 public:
  explicit TextSample(size_t bytes = size_t{4} << 20) : limit_(bytes) {}
  void see(const std::string& document, uint64_t key);
  // The sample's pieces of documents with key > threshold (the training side), in the order of
  // their ranks.
  std::vector<std::string> training_pieces(uint64_t threshold) const;

 private:
  struct Piece {
    uint64_t key = 0;
    std::string text;
  };
  size_t limit_, bytes_ = 0;
  std::map<uint64_t, Piece> pieces_;  // by rank; equal documents enter once
};

}  // namespace rung
