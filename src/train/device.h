// What a GPU is and how much of its memory this program holds.
#pragma once
#include <cstdint>
#include <string>

namespace rung {

// Empty in a build without CUDA or on a host without a GPU.
std::string gpu_name();
// Where it is on the PCI bus, as NVML finds it too; empty likewise.
std::string gpu_address();

// Bytes of the present GPU that this program may come to hold: what is free and what it holds. 0
// without a GPU.
int64_t gpu_memory();

// Gives unused memory back to the device and starts a new reading of the peak. No population may be
// alive: its captured step knows where the libraries work.
void restart_gpu_memory();

// The most bytes that LibTorch's allocator has held since restart_gpu_memory(): all that the
// program takes on the device but the driver's own context. 0 without a GPU.
int64_t peak_gpu_memory();
// Of them, the most that was in use at a time.
int64_t peak_gpu_use();

}  // namespace rung
