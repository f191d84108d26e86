// What the tensor-level twins share: the kernels' element type and stream.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAStream.h>

#include "ops/activation.h"
#include "ops/cuda/kernels.h"
#include "ops/weight.h"

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
inline const float* floats_in(const at::Tensor& t) {
  return t.defined() ? t.const_data_ptr<float>() : nullptr;
}
// Rows [P, rows, width] as vector copies want them: without gaps, members on 16-byte boundaries.
inline bool is_packed(const at::Tensor& t) {
  return t.stride(2) == 1 && t.stride(1) == t.size(2) && t.stride(0) % 8 == 0 &&
         reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
}
// A matrix in bf16 whose gradient, unless it is frozen, is a product's to sum, in fp32 or bf16.
inline bool is_packed_map(const Weight& w) {
  return w.value.scalar_type() == at::kBFloat16 && is_packed(w.value) &&
         (!w.gradient.defined() ||
          ((w.gradient.scalar_type() == at::kFloat || w.gradient.scalar_type() == at::kBFloat16) &&
           is_packed(w.gradient)));
}
// The same with a gradient that kernels of our own sum, in fp32 alone.
inline bool is_packed_half(const Weight& w) {
  return is_packed_map(w) && (!w.gradient.defined() || w.gradient.scalar_type() == at::kFloat);
}
inline Curve curve_of(Activation kind) {
  switch (kind) {
    case Activation::swiglu:
      return Curve::swiglu;
    case Activation::geglu:
      return Curve::geglu;
    case Activation::reglu2:  // no kernel has it: fits_activation and fits_mlp say so
      break;
    case Activation::gelu:
      return Curve::gelu;
    case Activation::relu2:
      return Curve::relu2;
  }
  return Curve::relu2;
}

}  // namespace rung::cuda
