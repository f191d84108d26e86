#ifdef RUNG_CUDA
#include "ops/cuda/blank.h"

#include <cstddef>
#include <iterator>
#include <map>
#include <mutex>

namespace rung::cuda {

using at::Tensor;

namespace {

// The backward pass has a thread of its own, and several populations may train at once.
struct BlankOnes {
  std::mutex mutex;
  std::map<const std::byte*, Tensor> by_begin;
};
BlankOnes& blank_ones() {
  static BlankOnes all;
  return all;
}

// Of the first member: the others' numbers lie alike.
const std::byte* begin_of(const Tensor& gradient) {
  return static_cast<const std::byte*>(gradient.const_data_ptr());
}
const std::byte* end_of(const Tensor& gradient) {
  return begin_of(gradient) +
         gradient.size(1) * gradient.size(2) * static_cast<int64_t>(gradient.element_size());
}

}  // namespace

BlankGradients::BlankGradients(std::vector<Tensor> gradients) : gradients_(std::move(gradients)) {
  const std::lock_guard lock(blank_ones().mutex);
  for (const Tensor& gradient : gradients_)
    blank_ones().by_begin.insert_or_assign(begin_of(gradient), gradient);
}

BlankGradients::~BlankGradients() {
  const std::lock_guard lock(blank_ones().mutex);
  for (const Tensor& gradient : gradients_) blank_ones().by_begin.erase(begin_of(gradient));
}

void BlankGradients::clear_rest() {
  const std::lock_guard lock(blank_ones().mutex);
  for (Tensor& gradient : gradients_)
    if (blank_ones().by_begin.erase(begin_of(gradient))) gradient.zero_();
}

bool writes_over(const Tensor& gradient) {
  const std::lock_guard lock(blank_ones().mutex);
  auto& blank = blank_ones().by_begin;
  auto at = blank.lower_bound(begin_of(gradient));
  if (at != blank.begin() && end_of(std::prev(at)->second) > begin_of(gradient)) --at;
  bool over = false;
  while (at != blank.end() && begin_of(at->second) < end_of(gradient)) {
    over = begin_of(at->second) == begin_of(gradient) && end_of(at->second) == end_of(gradient);
    if (!over) at->second.zero_();
    at = blank.erase(at);
  }
  return over;
}

}  // namespace rung::cuda
#endif
