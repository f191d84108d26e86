#include "ops/custom.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "ops/span.h"

namespace rung {
namespace {

struct ClosureNode : torch::autograd::Node {
  Backward backward;
  const char* op = "";
  std::string name() const override { return op; }
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
  node->op = Span::innermost();
  torch::autograd::edge_list edges;
  edges.reserve(inputs.size());
  for (const at::Tensor& input : inputs)
    edges.push_back(input.defined() && input.requires_grad()
                        ? torch::autograd::impl::gradient_edge(input)
                        : torch::autograd::Edge());
  node->set_next_edges(std::move(edges));
  for (at::Tensor& output : outputs) torch::autograd::set_history(output, node);
}

namespace {

// Gradients of f at `inputs` from those of its outputs; with_weights: and of all that f reads.
std::vector<at::Tensor> gradients_of(const Forward& f, const std::vector<at::Tensor>& inputs,
                                     const std::vector<bool>& needed,
                                     const std::vector<at::Tensor>& upstream, bool with_weights) {
  c10::AutoGradMode on(true);
  std::vector<at::Tensor> leaves, wanted, from, arrived;
  for (size_t i = 0; i < inputs.size(); ++i) {
    leaves.push_back(inputs[i].defined() ? inputs[i].detach() : at::Tensor());
    if (needed[i]) wanted.push_back(leaves.back().set_requires_grad(true));
  }
  const std::vector<at::Tensor> outputs = f(leaves);
  for (size_t i = 0; i < outputs.size(); ++i)
    if (upstream[i].defined() && outputs[i].defined() && outputs[i].requires_grad()) {
      from.push_back(outputs[i]);
      arrived.push_back(upstream[i]);
    }
  std::vector<at::Tensor> result(inputs.size());
  if (from.empty()) return result;
  if (with_weights) {
    torch::autograd::backward(from, arrived);
    for (size_t i = 0; i < inputs.size(); ++i)
      if (needed[i]) result[i] = leaves[i].grad();
    return result;
  }
  const auto found = torch::autograd::grad(from, wanted, arrived, false, false, true);
  size_t next = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (needed[i]) result[i] = found[next++];
  return result;
}

std::vector<at::Tensor> run_anew(const std::vector<at::Tensor>& inputs, const Forward& f,
                                 bool with_weights) {
  if (!recording()) return f(inputs);
  std::vector<at::Tensor> kept, outputs;
  std::vector<bool> needed;
  for (const at::Tensor& input : inputs) {
    kept.push_back(input.defined() ? input.detach() : at::Tensor());
    needed.push_back(input.defined() && input.requires_grad());
  }
  {
    c10::AutoGradMode off(false);
    for (const at::Tensor& output : f(kept))
      outputs.push_back(output.defined() ? output.detach() : at::Tensor());
  }
  record(outputs, inputs, [=](const std::vector<at::Tensor>& g) {
    return gradients_of(f, kept, needed, g, with_weights);
  });
  return outputs;
}

}  // namespace

std::vector<at::Tensor> recomputed(const std::vector<at::Tensor>& inputs, const Forward& f) {
  return run_anew(inputs, f, false);
}

std::vector<at::Tensor> recomputed_with_weights(const std::vector<at::Tensor>& inputs,
                                                const Forward& f) {
  return run_anew(inputs, f, true);
}

at::Tensor add_gradient(const at::Tensor& x, const at::Tensor& gradient) {
  at::Tensor y = x.detach();
  record({y}, {x}, [gradient](const std::vector<at::Tensor>& g) {
    return std::vector<at::Tensor>{g[0].defined() ? g[0] + gradient : gradient};
  });
  return y;
}

}  // namespace rung
