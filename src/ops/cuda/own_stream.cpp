#ifdef RUNG_CUDA
#include "ops/cuda/own_stream.h"

#include <mutex>
#include <set>

#include "core/error.h"

namespace rung::cuda {
namespace {

struct Held {
  std::mutex mutex;
  std::set<CUstream_st*> streams;
};

Held& held() {
  static Held all;
  return all;
}

c10::cuda::CUDAStream take(int priority) {
  constexpr int pool_size = 32;
  const std::lock_guard lock(held().mutex);
  for (int i = 0; i < pool_size; ++i) {
    const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool(priority);
    if (held().streams.insert(stream.stream()).second) return stream;
  }
  fail("[cuda] All {} streams are in use. Train fewer populations at the same time.", pool_size);
}

}  // namespace

OwnStream::OwnStream(int priority) : stream_(take(priority)) {}

OwnStream::~OwnStream() {
  const std::lock_guard lock(held().mutex);
  held().streams.erase(stream_.stream());
}

}  // namespace rung::cuda
#endif
