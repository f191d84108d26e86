// Independent pieces of work on several threads; who does which piece never changes the result.
#pragma once
#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/error.h"

namespace rung {

// Between pieces of work: fails where the caller wants no more of them.
inline void stop_if(const std::function<bool()>& interrupted) {
  if (interrupted && interrupted()) fail("[fit] Interrupted. Received a signal before the end.");
}

// Calls work(i) for every i below `count` on up to `threads` threads (0: one per core); rethrows
// the first exception.
template <class Work>
void parallel_for(size_t count, int threads, Work&& work) {
  const size_t cores = threads > 0 ? static_cast<size_t>(threads)
                                   : std::max(1u, std::thread::hardware_concurrency());
  const size_t workers = std::min(cores, count);
  if (workers <= 1) {
    for (size_t i = 0; i < count; ++i) work(i);
    return;
  }
  std::atomic<size_t> next = 0;
  std::exception_ptr error;
  std::mutex guard;
  const auto run = [&] {
    try {
      for (size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      const std::lock_guard lock(guard);
      if (!error) error = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> pool;
  for (size_t i = 1; i < workers; ++i) pool.emplace_back(run);
  run();
  for (std::thread& thread : pool) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace rung
