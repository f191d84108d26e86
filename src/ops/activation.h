// Activations of the ffn half, gated and plain, with the multipliers of unit scaling.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

enum class Activation { swiglu, geglu, reglu2, gelu, relu2 };

struct ActivationOptions {
  double slope = 1.0;     // m: g sigmoid(m g) for SwiGLU, gelu(m x) / m for GELU
  double forward = 1.0;   // multiplies the output
  double backward = 1.0;  // multiplies the gradient
  bool in_place = false;  // x is this op's alone: on a GPU its gradient may be written over it
};

// Gated kinds take [.., 2 F] = [gate | up] and return [.., F]; the others keep the shape.
at::Tensor activation(Activation kind, const at::Tensor& x, const ActivationOptions& options);
at::Tensor activation_plain(Activation kind, const at::Tensor& x, const ActivationOptions& options);

}  // namespace rung
