// What the present device has.
#pragma once
#include <cstdint>

namespace rung::cuda {

int64_t processors();    // streaming multiprocessors, at least one
int64_t block_memory();  // bytes of shared memory that a block may have
bool is_hopper();        // compute capability 9.x: wgmma

// What a block may have on Hopper; kernels that keep matrices on chip are made for it.
constexpr int64_t hopper_block_memory = 227 * 1024;

}  // namespace rung::cuda
