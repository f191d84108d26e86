// What a captured graph is made of, and how it is changed before it is instantiated.
#pragma once
#include <algorithm>
#include <vector>

#include "ops/cuda/runtime.h"

namespace rung::cuda {

using Node = cudaGraphNode_t;

// Nodes that a node waits for, or that wait for it. What kind an edge is must be asked for too.
template <class Neighbours>
std::vector<Node> neighbours(Node node, const Neighbours& get) {
  size_t count = 0;
  check_runtime(get(node, nullptr, nullptr, &count));
  std::vector<Node> nodes(count);
  std::vector<cudaGraphEdgeData> edges(count);
  check_runtime(get(node, nodes.data(), edges.data(), &count));
  return nodes;
}
inline std::vector<Node> nodes_before(Node node) {
  return neighbours(node, cudaGraphNodeGetDependencies);
}
inline std::vector<Node> nodes_behind(Node node) {
  return neighbours(node, cudaGraphNodeGetDependentNodes);
}

struct MemsetNode {
  Node node;
  cudaMemsetParams set;
};

inline std::vector<MemsetNode> memsets_of(cudaGraph_t graph) {
  size_t count = 0;
  check_runtime(cudaGraphGetNodes(graph, nullptr, &count));
  std::vector<Node> nodes(count);
  check_runtime(cudaGraphGetNodes(graph, nodes.data(), &count));
  std::vector<MemsetNode> found;
  for (const Node node : nodes) {
    cudaGraphNodeType type{};
    check_runtime(cudaGraphNodeGetType(node, &type));
    if (type != cudaGraphNodeTypeMemset) continue;
    found.push_back({node, {}});
    check_runtime(cudaGraphMemsetNodeGetParams(node, &found.back().set));
  }
  return found;
}

// `to` waits for `from`, if it does not yet.
inline void depend(cudaGraph_t graph, Node from, Node to) {
  const std::vector<Node> known = nodes_before(to);
  if (std::find(known.begin(), known.end(), from) == known.end())
    check_runtime(cudaGraphAddDependencies(graph, &from, &to, nullptr, 1));
}

}  // namespace rung::cuda
