#include "data/split.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/hash.h"

namespace rung {

namespace {

constexpr size_t least_documents = 8;
constexpr size_t least_bytes = 65536;  // train.eval_tokens of them

}  // namespace

DocumentHash hash_document(const std::string& text) {
  DocumentHash hash{sha256(text), 0};
  hash.key = std::stoull(hash.digest.substr(0, 16), nullptr, 16);
  return hash;
}

HeldOutRule::HeldOutRule(double share) : all_(share == 1.0) {
  if (!(share > 0.0 && share <= 1.0))
    fail_usage("[data] held_out must lie between 0 and 1. Received {}. Give a share such as 0.02.",
               share);
  start_ = all_ ? UINT64_MAX : static_cast<uint64_t>(std::ldexp(share, 64));
}

void HeldOutRule::see(uint64_t key, size_t bytes) {
  if (enough_ || !seen_.emplace(key, bytes).second || key > start_) return;
  ++held_documents_;
  held_bytes_ += bytes;
  enough_ = held_documents_ >= least_documents && held_bytes_ >= least_bytes;
  if (enough_) seen_.clear();
}

uint64_t HeldOutRule::threshold() const {
  if (all_ || enough_ || seen_.size() < 2) return start_;
  size_t all = 0;
  for (const auto& [key, bytes] : seen_) all += bytes;
  uint64_t threshold = start_;
  size_t documents = 0, held = 0;
  for (const auto& [key, bytes] : seen_) {
    if (documents == seen_.size() / 2) break;
    if (documents >= least_documents && held >= std::min(least_bytes, all / 10)) break;
    threshold = std::max(threshold, key);
    ++documents;
    held += bytes;
  }
  return threshold;
}

}  // namespace rung
