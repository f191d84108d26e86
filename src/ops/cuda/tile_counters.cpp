#ifdef RUNG_CUDA
#include "ops/cuda/tile_counters.h"

#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>

#include <set>

#include "ops/cuda/graph_nodes.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

using at::Tensor;

namespace {

std::atomic<TileCounters*> in_use = nullptr;

// What waited for a node then waits for what the node waited for.
void take_out(cudaGraph_t graph, Node node) {
  for (const Node to : nodes_behind(node))
    for (const Node from : nodes_before(node)) depend(graph, from, to);
  check_runtime(cudaGraphDestroyNode(node));
}

// Adds all that comes behind a node, and the node, to `reached`.
void reach(Node node, std::set<Node>& reached) {
  std::vector<Node> left{node};
  while (!left.empty()) {
    const Node next = left.back();
    left.pop_back();
    if (!reached.insert(next).second) continue;
    for (const Node to : nodes_behind(next)) left.push_back(to);
  }
}

}  // namespace

TileCounters::TileCounters(const Tensor& like, int64_t count)
    : memory_(at::zeros({count, static_cast<int64_t>(bytes)}, like.options().dtype(at::kByte))) {}

TileCounters::Use::Use(TileCounters& counters) {
  counters.taken_ = 0;
  in_use = &counters;
}

TileCounters::Use::~Use() {
  in_use = nullptr;
}

void* TileCounters::next() {
  TileCounters* const counters = in_use;
  if (!counters ||
      c10::cuda::currentStreamCaptureStatusMayInitCtx() == c10::cuda::CaptureStatus::None)
    return nullptr;
  const int64_t place = counters->taken_++;
  if (place >= counters->memory_.size(0)) return nullptr;
  return static_cast<std::byte*>(counters->memory_.mutable_data_ptr()) +
         place * static_cast<int64_t>(bytes);
}

size_t TileCounters::clear_at_once(cudaGraph_t graph) const {
  struct Clearing {
    const void* at;
    Node node;
    std::vector<Node> products;
  };
  const auto* const begin = static_cast<const std::byte*>(memory_.const_data_ptr());
  const std::byte* const end = begin + memory_.nbytes();
  std::vector<Clearing> found;
  size_t width = 0;  // of what is cleared of a counter's room
  for (const auto& [node, set] : memsets_of(graph)) {
    const auto* const at = static_cast<const std::byte*>(set.dst);
    if (at < begin || at >= end || set.value != 0) continue;
    found.push_back({at, node, nodes_behind(node)});
    width = std::max(width, static_cast<size_t>(at - begin) % bytes + set.width * set.elementSize);
  }
  if (found.empty()) return 0;
  // In the order of capture, in which what comes behind another was captured later.
  std::sort(found.begin(), found.end(),
            [](const Clearing& a, const Clearing& b) { return a.at < b.at; });
  for (const Clearing& c : found) take_out(graph, c.node);
  cudaMemsetParams all{};
  all.dst = memory_.mutable_data_ptr();
  all.pitch = bytes;
  all.elementSize = 1;
  all.width = width;
  all.height = static_cast<size_t>(std::min(taken_.load(), memory_.size(0)));
  Node first = nullptr;
  check_runtime(cudaGraphAddMemsetNode(&first, graph, nullptr, 0, &all));
  std::set<Node> reached;
  for (const Clearing& c : found)
    for (const Node product : c.products) {
      if (reached.contains(product)) continue;
      depend(graph, first, product);
      reach(product, reached);
    }
  return found.size();
}

}  // namespace rung::cuda
#endif
