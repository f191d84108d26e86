#include <cstdint>

#include "ops/cuda/clear_nodes.h"
#include "ops/cuda/graph_nodes.h"

namespace rung::cuda {
namespace {

constexpr unsigned most_threads = 256, warp = 32;
constexpr size_t most_words = 4096;  // larger ones are worth a memset

__global__ void clear(uint32_t* words, unsigned count) {
  for (unsigned i = threadIdx.x; i < count; i += blockDim.x) words[i] = 0;
}

bool is_small(const cudaMemsetParams& set) {
  const size_t bytes = set.width * set.elementSize;
  return set.value == 0 && set.height == 1 && bytes % 4 == 0 && bytes <= 4 * most_words &&
         reinterpret_cast<uintptr_t>(set.dst) % 4 == 0;
}

}  // namespace

size_t clear_by_kernels(cudaGraph_t graph) {
  size_t changed = 0;
  for (const MemsetNode& m : memsets_of(graph)) {
    if (!is_small(m.set)) continue;
    auto* words = static_cast<uint32_t*>(m.set.dst);
    auto count = static_cast<unsigned>(m.set.width * m.set.elementSize / 4);
    void* arguments[] = {&words, &count};
    cudaKernelNodeParams kernel{};
    kernel.func = reinterpret_cast<void*>(clear);
    kernel.gridDim = dim3(1);
    kernel.blockDim = dim3(std::min(most_threads, (count + warp - 1) / warp * warp));
    kernel.kernelParams = arguments;
    const std::vector<Node> before = nodes_before(m.node), behind = nodes_behind(m.node);
    Node node = nullptr;
    check_runtime(cudaGraphAddKernelNode(&node, graph, before.data(), before.size(), &kernel));
    for (const Node to : behind) depend(graph, node, to);
    check_runtime(cudaGraphDestroyNode(m.node));
    ++changed;
  }
  return changed;
}

}  // namespace rung::cuda
