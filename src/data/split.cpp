#include "data/split.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "core/error.h"
#include "core/hash.h"

namespace rung {

DocumentHash hash_document(const std::string& text) {
  DocumentHash hash{sha256(text), 0};
  hash.key = std::stoull(hash.digest.substr(0, 16), nullptr, 16);
  return hash;
}

HeldOutRule::HeldOutRule(double share) {
  if (!(share > 0.0 && share < 1.0))
    fail_usage("[data] held_out must lie between 0 and 1. Received {}. Give a share such as 0.02.",
               share);
  start_ = static_cast<uint64_t>(std::ldexp(share, 64));
}

void HeldOutRule::see(uint64_t key) {
  if (smallest_.size() == 16 && key >= *smallest_.rbegin()) return;
  smallest_.insert(key);
  if (smallest_.size() > 16) smallest_.erase(std::prev(smallest_.end()));
}

uint64_t HeldOutRule::threshold() const {
  const size_t least = std::min<size_t>(8, smallest_.size() / 2);
  if (least == 0) return start_;
  return std::max(start_, *std::next(smallest_.begin(), static_cast<std::ptrdiff_t>(least) - 1));
}

}  // namespace rung
