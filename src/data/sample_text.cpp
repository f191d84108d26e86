#include "data/sample_text.h"

#include <iterator>

#include "core/random.h"
#include "core/utf8.h"

namespace rung {

void TextSample::see(const std::string& document, uint64_t key) {
  constexpr size_t piece_bytes = size_t{16} << 10;
  std::string_view rest = document;
  for (uint64_t index = 0; !rest.empty(); ++index) {
    const size_t cut = utf8_boundary(rest, piece_bytes);
    const uint64_t rank = mix_bits(key + 0x9e3779b97f4a7c15ull * (index + 1));
    const bool full = bytes_ >= limit_;
    if (!full || rank < pieces_.rbegin()->first) {
      const auto [at, added] =
          pieces_.try_emplace(rank, Piece{key, std::string(rest.substr(0, cut))});
      if (added) bytes_ += at->second.text.size();
      // The last piece goes only while the others reach the limit, so that the order of arrival
      // does not matter.
      while (bytes_ - std::prev(pieces_.end())->second.text.size() >= limit_) {
        bytes_ -= std::prev(pieces_.end())->second.text.size();
        pieces_.erase(std::prev(pieces_.end()));
      }
    }
    rest.remove_prefix(cut);
  }
}

std::vector<std::string> TextSample::training_pieces(uint64_t threshold) const {
  std::vector<std::string> pieces;
  for (const auto& [rank, piece] : pieces_)
    if (piece.key > threshold) pieces.push_back(piece.text);
  return pieces;
}

}  // namespace rung
