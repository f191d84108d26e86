// Hand-written gradients without torch's heavy custom-function headers: an op computes its outputs
// with recording off and hands over a closure for the backward pass.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace rung {

// Receives the gradients of the outputs (undefined where none arrived) and returns those of the
// inputs.
using Backward = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

// True when an op should keep what its backward pass needs.
bool recording();

// Makes `outputs` (fresh tensors) functions of `inputs`. Does nothing while recording is off, or
// when no input needs a gradient and `root` is false; a root (an embedding) starts a graph of its
// own. The closure must capture outputs only through detach(), or they would keep themselves alive.
void record(std::vector<at::Tensor> outputs, const std::vector<at::Tensor>& inputs,
            Backward backward, bool root = false);

// f(inputs), of which only the inputs are kept: the backward pass runs f anew. f must be a function
// of its inputs alone; weights within it would get no gradient. Undefined inputs stay undefined.
using Forward = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;
std::vector<at::Tensor> recomputed(const std::vector<at::Tensor>& inputs, const Forward& f);
// Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): the same for an f that reads
// weights, whose gradients are added to when the backward pass comes to it. Outputs may be
// undefined, the same ones each time.
std::vector<at::Tensor> recomputed_with_weights(const std::vector<at::Tensor>& inputs,
                                                const Forward& f);

// The identity on x; `gradient` is added to what comes back to it.
at::Tensor add_gradient(const at::Tensor& x, const at::Tensor& gradient);

}  // namespace rung
