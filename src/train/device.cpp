#include "train/device.h"

#ifdef RUNG_CUDA
#include <ATen/Context.h>
#include <ATen/cuda/CUDAContextLight.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>
#endif

namespace rung {

#ifndef RUNG_CUDA
std::string gpu_name() {
  return {};
}
std::string gpu_address() {
  return {};
}
int64_t gpu_memory() {
  return 0;
}
void restart_gpu_memory() {}
int64_t peak_gpu_memory() {
  return 0;
}
int64_t peak_gpu_use() {
  return 0;
}
#else

namespace allocator = c10::cuda::CUDACachingAllocator;

namespace {
constexpr auto aggregate = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
}

std::string gpu_name() {
  cudaDeviceProp properties{};
  if (c10::cuda::device_count() == 0 ||
      cudaGetDeviceProperties(&properties, c10::cuda::current_device()) != cudaSuccess)
    return {};
  return properties.name;
}

std::string gpu_address() {
  char address[32] = {};
  if (c10::cuda::device_count() == 0 ||
      cudaDeviceGetPCIBusId(address, sizeof address, c10::cuda::current_device()) != cudaSuccess)
    return {};
  return address;
}

int64_t gpu_memory() {
  size_t available = 0, total = 0;
  if (c10::cuda::device_count() == 0 || cudaMemGetInfo(&available, &total) != cudaSuccess) return 0;
  at::globalContext().lazyInitDevice(at::kCUDA);  // the allocator knows no device before
  const auto stats = allocator::getDeviceStats(c10::cuda::current_device());
  return static_cast<int64_t>(available) + stats.reserved_bytes[aggregate].current;
}

void restart_gpu_memory() {
  if (c10::cuda::device_count() == 0) return;
  at::cuda::clearCublasWorkspaces();  // one stays with each stream that a population had
  allocator::emptyCache();
  allocator::resetPeakStats(c10::cuda::current_device());
}

int64_t peak_gpu_memory() {
  if (c10::cuda::device_count() == 0) return 0;
  return allocator::getDeviceStats(c10::cuda::current_device()).reserved_bytes[aggregate].peak;
}

int64_t peak_gpu_use() {
  if (c10::cuda::device_count() == 0) return 0;
  return allocator::getDeviceStats(c10::cuda::current_device()).allocated_bytes[aggregate].peak;
}
#endif

}  // namespace rung
