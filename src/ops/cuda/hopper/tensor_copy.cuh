// Boxes of a tensor in global memory, copied into shared memory by one thread's word (the bulk
// tensor copy of compute capability 9.0), and the barriers in shared memory that tell of their
// arrival.
#pragma once
#include <cuda.h>
#include <cudaTypedefs.h>

#include "ops/cuda/async.cuh"

namespace rung::cuda {

// A barrier is 8 bytes; a phase of it ends with `count` arrivals and all bytes that were announced.
__device__ inline void start_barrier(uint32_t barrier, uint32_t count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
// Shows barriers that this thread has started to the copies; the block synchronises afterwards.
__device__ inline void show_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ inline void arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ inline void announce(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
// Waits for the end of a phase; `parity` is that phase's number modulo 2.
__device__ inline void wait_barrier(uint32_t barrier, uint32_t parity) {
  uint32_t done = 0;
  while (!done)
    asm volatile(
        "{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, "
        "p; }"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
}

// Where one is in a ring of stages, and the parity that its barriers have there.
template <int stages>
struct RingPlace {
  int stage = 0;
  uint32_t phase = 0;
  __device__ void next() {
    if (++stage == stages) stage = 0, phase ^= 1;
  }
};

// A tensor [members, parts, rows, columns] in bf16 and the box [1, 1, box_rows, box_columns] of it
// that a copy brings as a panel of wgmma.cuh, 64 or 32 columns; what lies outside is zero. Strides
// in elements.
struct BoxedTensor {
  const void* base;
  int64_t columns, rows, parts, members;
  int64_t row_stride, part_stride, member_stride;
  int box_rows, box_columns = 64;
};

// The driver's description of it; fails through launch_failed.
inline CUtensorMap tensor_map(const BoxedTensor& t) {
  static const auto encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult status{};
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault,
                                     &status);
    return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(found);
  }();
  const cuuint64_t sizes[4] = {static_cast<cuuint64_t>(t.columns), static_cast<cuuint64_t>(t.rows),
                               static_cast<cuuint64_t>(t.parts),
                               static_cast<cuuint64_t>(t.members)};
  const cuuint64_t strides[3] = {static_cast<cuuint64_t>(2 * t.row_stride),
                                 static_cast<cuuint64_t>(2 * t.part_stride),
                                 static_cast<cuuint64_t>(2 * t.member_stride)};
  const cuuint32_t box[4] = {static_cast<cuuint32_t>(t.box_columns),
                             static_cast<cuuint32_t>(t.box_rows), 1, 1},
                   steps[4] = {1, 1, 1, 1};
  CUtensorMap map{};
  if (!encode ||
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, const_cast<void*>(t.base), sizes, strides,
             box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             t.box_columns == 64 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) != CUDA_SUCCESS)
    launch_failed("a tensor map cannot be made");
  return map;
}

// Starts the copy of the box that begins at (member, part, row, column).
__device__ inline void copy_box(uint32_t to, const CUtensorMap& map, uint32_t barrier, int column,
                                int row, int part, int member) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, "
      "%4, %5, %6}], [%2];" ::"r"(to),
      "l"(reinterpret_cast<uint64_t>(&map)), "r"(barrier), "r"(column), "r"(row), "r"(part),
      "r"(member)
      : "memory");
}

// The same of `bytes` that lie together, a multiple of 16.
__device__ inline void copy_flat(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(to),
      "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
}

// Starts writing a box from shared memory; what lies outside of the tensor is left out.
__device__ inline void write_box(const CUtensorMap& map, uint32_t from, int column, int row,
                                 int part, int member) {
  asm volatile(
      "cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(
          reinterpret_cast<uint64_t>(&map)),
      "r"(from), "r"(column), "r"(row), "r"(part), "r"(member)
      : "memory");
}
__device__ inline void commit_writes() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
// Until what this thread has begun to write has been read, or is all in global memory.
__device__ inline void wait_writes() {
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}
__device__ inline void wait_written() {
  asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}

}  // namespace rung::cuda
