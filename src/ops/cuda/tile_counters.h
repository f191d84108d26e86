// The counters by which the library's kernels deal out the tiles of a large product. cuBLASLt
// clears one in the product's workspace by a memset in front, for which a captured chain of kernels
// stops: the kernel before ends, the memset begins and ends, the product begins. In a captured step
// every product has a counter of its own, and one memset clears all while the step begins.
#pragma once
#include <ATen/core/Tensor.h>
#include <driver_types.h>

#include <atomic>

namespace rung::cuda {

class TileCounters {
 public:
  // Workspace of a product in which there is room for a counter and for nothing larger. (With
  // 128 bytes the library refuses.)
  static constexpr size_t bytes = 1024;

  // For `count` products on the device of `like`; those beyond keep the library's workspace.
  TileCounters(const at::Tensor& like, int64_t count);

  // While it lives, the products that this process captures take these counters, from the first on.
  // One at a time.
  class Use {
   public:
    explicit Use(TileCounters& counters);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
  };

  // Takes the memsets of these counters out of a graph that was captured meanwhile, and puts one at
  // its beginning. Returns how many it took out.
  size_t clear_at_once(cudaGraph_t graph) const;

  // A counter for a product on the present stream; null where it is not being captured with
  // counters, or all are taken.
  static void* next();

 private:
  at::Tensor memory_;
  std::atomic<int64_t> taken_ = 0;
};

}  // namespace rung::cuda
