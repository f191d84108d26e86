// The stream that runs beside another.
#pragma once
#include <c10/cuda/CUDAStream.h>

#include "ops/cuda/beside.h"
#include "ops/cuda/own_stream.h"

namespace rung::cuda {

// Of one stream, as long as it lives: what beside() is given while that stream is the present one,
// or of that, without `sums`, what adds to nothing. One thread at a time.
class Company {
 public:
  explicit Company(c10::cuda::CUDAStream main, bool sums = true);
  ~Company();
  Company(const Company&) = delete;
  Company& operator=(const Company&) = delete;

  Mark run(std::vector<at::Tensor> read, const at::Tensor& written,
           const std::function<void()>& work);
  void wait_for_writers(const at::Tensor& written);
  // The main stream waits for all of it.
  void join();
  bool sums() const { return sums_; }

 private:
  struct Use {
    Mark done;
    std::vector<at::Tensor> read;  // kept until the main stream has waited
    const void* written;
    int64_t bytes;
  };
  Mark next_event();
  void wait_for_first(size_t count);

  c10::cuda::CUDAStream main_;
  bool sums_;
  OwnStream side_;
  std::vector<Mark> events_;
  size_t used_ = 0;  // of the events
  std::vector<Use> uses_;
  int64_t bytes_ = 0;  // that uses keep
};

}  // namespace rung::cuda
