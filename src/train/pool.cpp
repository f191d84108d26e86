#include "train/pool.h"

#include <ATen/ThreadLocalState.h>

namespace rung {

TaskPool::TaskPool(int threads, const std::function<void()>& start) {
  for (int i = 0; i < threads; ++i)
    workers_.emplace_back([this, start] {
      if (start) start();
      work();
    });
}

TaskPool::~TaskPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void TaskPool::run(int64_t count, const std::function<void(int64_t)>& task) {
  if (count <= 0) return;
  if (at::hasThreadLocalCallbacks()) {  // whoever profiles this thread means its workers too
    share(count, [&, state = at::ThreadLocalState()](int64_t i) {
      const at::ThreadLocalStateGuard guard(state);
      task(i);
    });
    return;
  }
  share(count, task);
}

void TaskPool::share(int64_t count, const std::function<void(int64_t)>& task) {
  Group group{.task = &task, .count = count, .error = {}, .finished = {}};
  std::unique_lock lock(mutex_);
  groups_.push_back(&group);
  if (count == 1)
    wake_.notify_one();
  else
    wake_.notify_all();
  group.finished.wait(lock, [&] { return group.done == group.count; });
  if (group.error) std::rethrow_exception(group.error);
}

void TaskPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !groups_.empty(); });
    if (groups_.empty()) return;
    Group* group = groups_.front();
    const int64_t index = group->next++;
    groups_.pop_front();
    // Groups take turns, so that a large rung does not hold up small ones.
    if (group->next < group->count) groups_.push_back(group);
    lock.unlock();
    std::exception_ptr error;
    try {
      (*group->task)(index);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && !group->error) group->error = error;
    if (++group->done == group->count) group->finished.notify_one();
  }
}

}  // namespace rung
