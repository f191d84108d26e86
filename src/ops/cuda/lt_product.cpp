#ifdef RUNG_CUDA
#include "ops/cuda/lt_product.h"

#include <ATen/cuda/CUDAContextLight.h>

#include "core/error.h"
#include "ops/cuda/tensor.h"
#include "ops/cuda/tile_counters.h"

namespace rung::cuda {

using at::Tensor;

void check_lt(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail("[cuda] cuBLASLt: {} failed: {}.", what, cublasLtGetStatusString(status));
}

namespace {

cudaDataType_t lt_type(at::ScalarType type) {
  switch (type) {
    case at::kBFloat16:
      return CUDA_R_16BF;
    case at::kFloat8_e4m3fn:
      return CUDA_R_8F_E4M3;
    case at::kFloat8_e5m2:
      return CUDA_R_8F_E5M2;
    default:
      return CUDA_R_32F;
  }
}

LtLayout layout_of(const LtMatrix& m, int64_t members) {
  cublasLtMatrixLayout_t layout = nullptr;
  check_lt(cublasLtMatrixLayoutCreate(&layout, lt_type(m.type), static_cast<uint64_t>(m.rows),
                                      static_cast<uint64_t>(m.columns), m.lead),
           "a layout");
  LtLayout result(layout, cublasLtMatrixLayoutDestroy);
  const int32_t count = static_cast<int32_t>(members);
  check_lt(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                            sizeof count),
           "a layout's members");
  check_lt(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                            &m.apart, sizeof m.apart),
           "a layout's stride");
  return result;
}

LtDescription description_of(const LtMatrix& first, const LtMatrix& second, bool fast_sums) {
  cublasLtMatmulDesc_t made = nullptr;
  check_lt(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a description");
  LtDescription result(made, cublasLtMatmulDescDestroy);
  const auto set = [&](cublasLtMatmulDescAttributes_t name, const auto& value) {
    check_lt(cublasLtMatmulDescSetAttribute(made, name, &value, sizeof value), "an attribute");
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, first.turned ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, second.turned ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (fast_sums) set(CUBLASLT_MATMUL_DESC_FAST_ACCUM, int8_t{1});
  return result;
}

}  // namespace

std::optional<LtMatrix> lt_matrix(const Tensor& t) {
  const bool rows = t.stride(2) == 1 && t.stride(1) >= t.size(2);
  if (!rows && !(t.stride(1) == 1 && t.stride(2) >= t.size(1))) return std::nullopt;
  const int64_t each = 16 / static_cast<int64_t>(t.element_size());  // of 16 bytes
  const int64_t lead = rows ? t.stride(1) : t.stride(2);
  const int64_t apart = t.size(0) > 1 ? t.stride(0) : 0;
  if (lead % each != 0 || apart % each != 0 ||
      reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 != 0)
    return std::nullopt;
  return LtMatrix{.data = t.const_data_ptr(),
                  .type = t.scalar_type(),
                  .rows = rows ? t.size(2) : t.size(1),
                  .columns = rows ? t.size(1) : t.size(2),
                  .lead = lead,
                  .apart = apart,
                  .turned = !rows};
}

LtProduct::LtProduct(const Tensor& o, const void* added, double share, const Tensor& a,
                     const Tensor& b, double factor, bool fast)
    : first(*lt_matrix(b)),
      second(*lt_matrix(a)),
      out(*lt_matrix(o)),
      onto(added),
      members(o.size(0)),
      alpha(static_cast<float>(factor)),
      beta(static_cast<float>(share)),
      fast_sums(fast),
      description(description_of(first, second, fast)),
      first_layout(layout_of(first, members)),
      second_layout(layout_of(second, members)),
      out_layout(layout_of(out, members)) {}

bool LtProduct::run(const LtKernel& kernel, void* to) const {
  const auto runs_in = [&](void* workspace, size_t size) {
    return cublasLtMatmul(at::cuda::getCurrentCUDABlasLtHandle(), description.get(), &alpha,
                          first.data, first_layout.get(), second.data, second_layout.get(), &beta,
                          onto ? onto : to, out_layout.get(), to, out_layout.get(),
                          &kernel.algorithm, workspace, size, stream()) == CUBLAS_STATUS_SUCCESS;
  };
  if (kernel.workspace > 0 && kernel.workspace <= TileCounters::bytes)
    if (void* const counter = TileCounters::next();
        counter && runs_in(counter, TileCounters::bytes))
      return true;
  return runs_in(at::cuda::getCUDABlasLtWorkspace(), at::cuda::getCUDABlasLtWorkspaceSize());
}

}  // namespace rung::cuda
#endif
