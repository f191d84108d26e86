// A stream that nobody else launches on while it is held.
#pragma once
#include <c10/cuda/CUDAStream.h>

namespace rung::cuda {

// LibTorch hands out its 32 streams of a priority round and round. A step that is captured from a
// stream would take in whatever another run of this process launches there, so each of them holds
// its streams alone. Fails when all are held.
class OwnStream {
 public:
  explicit OwnStream(int priority = 0);  // as CUDA counts: 0 to -3, the lowest goes first
  ~OwnStream();
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;

  c10::cuda::CUDAStream get() const { return stream_; }

 private:
  c10::cuda::CUDAStream stream_;
};

}  // namespace rung::cuda
