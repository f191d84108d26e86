#include "ops/custom.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

namespace rung {
namespace {

struct ClosureNode : torch::autograd::Node {
  Backward backward;
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    c10::AutoGradMode off(false);
    return backward(gradients);
  }
  void release_variables() override { backward = nullptr; }
};

}  // namespace

bool recording() {
  return c10::GradMode::is_enabled();
}

void record(std::vector<at::Tensor> outputs, const std::vector<at::Tensor>& inputs,
            Backward backward, bool root) {
  if (!recording()) return;
  bool needed = root;
  for (const at::Tensor& input : inputs)
    needed = needed || (input.defined() && input.requires_grad());
  if (!needed) return;
  auto node = std::shared_ptr<ClosureNode>(new ClosureNode(), torch::autograd::deleteNode);
  node->backward = std::move(backward);
  torch::autograd::edge_list edges;
  edges.reserve(inputs.size());
  for (const at::Tensor& input : inputs)
    edges.push_back(input.defined() && input.requires_grad()
                        ? torch::autograd::impl::gradient_edge(input)
                        : torch::autograd::Edge());
  node->set_next_edges(std::move(edges));
  for (at::Tensor& output : outputs) torch::autograd::set_history(output, node);
}

}  // namespace rung
