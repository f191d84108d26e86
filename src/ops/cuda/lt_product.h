// cuBLASLt's view of a product: matrices, layouts and description, freed when they go.
#pragma once
#include <ATen/core/Tensor.h>
#include <cublasLt.h>

#include <memory>
#include <optional>

namespace rung::cuda {

// Fails with the library's word for what went wrong.
void check_lt(cublasStatus_t status, const char* what);

// A tensor [P, rows, columns] as the library sees it, column by column: its transpose, or where the
// tensor lies in columns (`turned`) the tensor itself.
struct LtMatrix {
  const void* data;
  at::ScalarType type;
  int64_t rows, columns, lead, apart;  // of the library's matrix
  bool turned;
};

// None where the tensor does not lie as the library wants it: in rows or columns of 16-byte pieces.
std::optional<LtMatrix> lt_matrix(const at::Tensor& t);

using LtLayout =
    std::unique_ptr<cublasLtMatrixLayoutOpaque_t, cublasStatus_t (*)(cublasLtMatrixLayout_t)>;
using LtDescription =
    std::unique_ptr<cublasLtMatmulDescOpaque_t, cublasStatus_t (*)(cublasLtMatmulDesc_t)>;

// One of the library's kernels, and the bytes of workspace that it needs.
struct LtKernel {
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace;
};

// A product with all that the library asks for. Its matrices are the transposes: out^T = b^T a^T.
struct LtProduct {
  LtMatrix first, second, out;
  const void* onto;  // what is added; null: the output itself
  int64_t members;
  float alpha, beta;
  bool fast_sums;
  LtDescription description;
  LtLayout first_layout, second_layout, out_layout;

  LtProduct(const at::Tensor& o, const void* added, double share, const at::Tensor& a,
            const at::Tensor& b, double factor, bool fast);

  // Whether the library took it; `to` is where the output lies.
  bool run(const LtKernel& kernel, void* to) const;
};

}  // namespace rung::cuda
