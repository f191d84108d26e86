#ifdef RUNG_CUDA
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include <map>
#include <mutex>

#include "ops/cuda/company.h"
#include "ops/cuda/runtime.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// The backward pass has a thread of its own.
struct Companies {
  std::mutex mutex;
  std::map<CUstream_st*, Company*> of;
};
Companies& companies() {
  static Companies all;
  return all;
}

Company* company() {
  const std::lock_guard lock(companies().mutex);
  const auto found = companies().of.find(stream());
  return found == companies().of.end() ? nullptr : found->second;
}

}  // namespace

Company::Company(c10::cuda::CUDAStream main, bool sums) : main_(main), sums_(sums) {
  const std::lock_guard lock(companies().mutex);
  companies().of[main_.stream()] = this;
}

Company::~Company() {
  {
    const std::lock_guard lock(companies().mutex);
    if (const auto own = companies().of.find(main_.stream()); own->second == this)
      companies().of.erase(own);
  }
  cudaStreamSynchronize(side_.get().stream());
  for (const Mark event : events_) cudaEventDestroy(event);
}

Mark Company::next_event() {
  if (used_ == events_.size()) {
    events_.push_back(nullptr);
    check_runtime(cudaEventCreateWithFlags(&events_.back(), cudaEventDisableTiming));
  }
  return events_[used_++];
}

Mark Company::run(std::vector<Tensor> read, const Tensor& written,
                  const std::function<void()>& work) {
  const Mark start = next_event(), done = next_event();
  check_runtime(cudaEventRecord(start, main_.stream()));
  check_runtime(cudaStreamWaitEvent(side_.get().stream(), start));
  {
    const c10::cuda::CUDAStreamGuard guard(side_.get());
    work();
  }
  check_runtime(cudaEventRecord(done, side_.get().stream()));
  int64_t bytes = 0;
  for (const Tensor& t : read)
    if (t.defined()) bytes += static_cast<int64_t>(t.nbytes());
  bytes_ += bytes;
  uses_.push_back({done, std::move(read), data(written), bytes});
  size_t count = 0;
  for (int64_t left = bytes_; left > most_kept_beside && count + 1 < uses_.size(); ++count)
    left -= uses_[count].bytes;
  wait_for_first(count);
  return done;
}

// Work beside is in order, so that the last one's end is the end of all before it.
void Company::wait_for_first(size_t count) {
  if (count == 0) return;
  check_runtime(cudaStreamWaitEvent(main_.stream(), uses_[count - 1].done));
  for (size_t i = 0; i < count; ++i) bytes_ -= uses_[i].bytes;
  uses_.erase(uses_.begin(), uses_.begin() + static_cast<int64_t>(count));
}

void Company::wait_for_writers(const Tensor& written) {
  size_t count = uses_.size();
  while (count > 0 && uses_[count - 1].written != data(written)) --count;
  wait_for_first(count);
}

void Company::join() {
  wait_for_first(uses_.size());
  used_ = 0;
}

Mark beside(std::vector<Tensor> read, const Tensor& written, const std::function<void()>& work) {
  Company* const c = company();
  if (c && (c->sums() || !written.defined())) return c->run(std::move(read), written, work);
  work();
  return nullptr;
}

bool is_accompanied() {
  const Company* const c = company();
  return c && c->sums();
}

void wait_for(Mark mark) {
  if (mark) check_runtime(cudaStreamWaitEvent(stream(), mark));
}

void wait_for_writers(const Tensor& written) {
  if (Company* const c = company()) c->wait_for_writers(written);
}

}  // namespace rung::cuda
#endif
