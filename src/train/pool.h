// Worker threads that several drivers share: run(n, f) executes f(0..n-1) on the workers and waits.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace rung {

class TaskPool {
 public:
  // `start` runs once in every worker before its first task.
  explicit TaskPool(int threads, const std::function<void()>& start = {});
  ~TaskPool();
  // Blocks until all tasks are done; rethrows the first exception. Safe to call from many driver
  // threads at once, never from inside a task.
  void run(int64_t count, const std::function<void(int64_t)>& task);
  int threads() const { return static_cast<int>(workers_.size()); }

 private:
  void share(int64_t count, const std::function<void(int64_t)>& task);
  struct Group {
    const std::function<void(int64_t)>* task;
    int64_t count, next = 0, done = 0;
    std::exception_ptr error;
    std::condition_variable finished;
  };
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Group*> groups_;  // groups with tasks left to start
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace rung
