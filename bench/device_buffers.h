// Memory of kernels that run alone.
#pragma once
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "core/error.h"

namespace rung {

inline void check_cuda(cudaError_t error) {
  if (error != cudaSuccess) fail("[cuda] {}.", cudaGetErrorString(error));
}

// Device memory of a case, each buffer allocated to the byte.
class Buffers {
 public:
  ~Buffers() {
    for (void* const p : all_) cudaFree(p);
  }
  // Random bf16 numbers, about `size` large.
  void* halves(int64_t count, double size = 1.0) {
    std::vector<uint16_t> values(static_cast<size_t>(count));
    std::normal_distribution<float> normal(0.0f, static_cast<float>(size));
    for (uint16_t& v : values) {
      const float x = normal(random_);
      uint32_t bits = 0;
      std::memcpy(&bits, &x, sizeof bits);
      v = static_cast<uint16_t>(bits >> 16);
    }
    return copied(values.data(), values.size() * sizeof(uint16_t));
  }
  float* zeros(int64_t count) {
    const std::vector<float> values(static_cast<size_t>(std::max<int64_t>(count, 1)), 0.0f);
    return static_cast<float*>(copied(values.data(), values.size() * sizeof(float)));
  }
  // For codes that a kernel writes; 0xff is none of them.
  void* codes(int64_t count) {
    const std::vector<uint8_t> values(static_cast<size_t>(count), uint8_t{0xff});
    return copied(values.data(), values.size());
  }
  int64_t* ids(int64_t count, int64_t below) {
    std::vector<int64_t> values(static_cast<size_t>(count));
    std::uniform_int_distribution<int64_t> any(0, below - 1);
    for (int64_t& v : values) v = any(random_);
    return static_cast<int64_t*>(copied(values.data(), values.size() * sizeof(int64_t)));
  }

 private:
  void* copied(const void* from, size_t bytes) {
    void* to = nullptr;
    check_cuda(cudaMalloc(&to, bytes));
    all_.push_back(to);
    check_cuda(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
    return to;
  }
  std::vector<void*> all_;
  std::minstd_rand random_{1};
};

}  // namespace rung
