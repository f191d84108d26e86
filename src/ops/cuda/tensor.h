// What the tensor-level twins share: the kernels' element type and stream.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAStream.h>

#include "ops/activation.h"
#include "ops/cuda/kernels.h"

namespace rung::cuda {

inline Type type_of(const at::Tensor& t) {
  return t.scalar_type() == at::kBFloat16 ? Type::bf16 : Type::f32;
}
inline Stream stream() {
  return c10::cuda::getCurrentCUDAStream().stream();
}
inline const void* data(const at::Tensor& t) {
  return t.defined() ? t.const_data_ptr() : nullptr;
}
inline void* writable(const at::Tensor& t) {
  return t.defined() ? t.mutable_data_ptr() : nullptr;
}
inline float* floats(const at::Tensor& t) {
  return t.defined() ? t.mutable_data_ptr<float>() : nullptr;
}
inline Curve curve_of(Activation kind) {
  switch (kind) {
    case Activation::swiglu:
      return Curve::swiglu;
    case Activation::geglu:
      return Curve::geglu;
    case Activation::gelu:
      return Curve::gelu;
    case Activation::relu2:
      return Curve::relu2;
  }
  return Curve::relu2;
}

}  // namespace rung::cuda
