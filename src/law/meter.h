// How far work on several threads is, said to whoever shows it.
#pragma once
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "core/clock.h"
#include "core/progress.h"

namespace rung {

class Meter {
 public:
  // `say` may be empty; it is called by one thread at a time.
  Meter(const std::function<void(const Progress&)>& say, std::string label, size_t total,
        std::string unit)
      : say_(say),
        at_{.label = std::move(label),
            .total = static_cast<double>(total),
            .unit = std::move(unit)} {}

  // One more piece is done.
  void add() {
    if (!say_) return;
    const std::lock_guard lock(guard_);
    at_.done += 1.0;
    at_.seconds = seconds_since(begin_);
    say_(at_);
  }

 private:
  const std::function<void(const Progress&)>& say_;
  Progress at_;
  Clock::time_point begin_ = Clock::now();
  std::mutex guard_;
};

}  // namespace rung
