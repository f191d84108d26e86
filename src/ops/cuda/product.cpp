#ifdef RUNG_CUDA
#include "ops/cuda/product.h"

#include <ATen/cuda/CUDAContextLight.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/error.h"
#include "ops/cuda/lt_product.h"
#include "ops/cuda/runtime.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

using at::Tensor;

namespace {

using LtPreference = std::unique_ptr<cublasLtMatmulPreferenceOpaque_t,
                                     cublasStatus_t (*)(cublasLtMatmulPreference_t)>;

constexpr int most_kernels = 8;  // of the library's list that are tried

// The library's list for a product, its own choice first. Sums over parts of k are added in fp32.
std::vector<LtKernel> kernels_for(const LtProduct& p) {
  cublasLtMatmulPreference_t made = nullptr;
  check_lt(cublasLtMatmulPreferenceCreate(&made), "a preference");
  const LtPreference preference(made, cublasLtMatmulPreferenceDestroy);
  const uint64_t workspace = at::cuda::getCUDABlasLtWorkspaceSize();
  const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  check_lt(cublasLtMatmulPreferenceSetAttribute(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                &workspace, sizeof workspace),
           "a preference's workspace");
  check_lt(cublasLtMatmulPreferenceSetAttribute(made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                &schemes, sizeof schemes),
           "a preference's sums");
  std::array<cublasLtMatmulHeuristicResult_t, most_kernels> results{};
  int count = 0;
  check_lt(cublasLtMatmulAlgoGetHeuristic(
               at::cuda::getCurrentCUDABlasLtHandle(), p.description.get(), p.first_layout.get(),
               p.second_layout.get(), p.out_layout.get(), p.out_layout.get(), made, most_kernels,
               results.data(), &count),
           "a choice of kernel");
  std::vector<LtKernel> kernels;
  for (const auto& result : std::span(results).first(static_cast<size_t>(count)))
    if (result.state == CUBLAS_STATUS_SUCCESS)
      kernels.push_back({result.algo, result.workspaceSize});
  if (kernels.empty()) fail("[cuda] cuBLASLt has no kernel for a product.");
  return kernels;
}

struct LtEvent {
  cudaEvent_t event = nullptr;
  LtEvent() { check_runtime(cudaEventCreate(&event)); }
  ~LtEvent() { cudaEventDestroy(event); }
  LtEvent(const LtEvent&) = delete;
  LtEvent& operator=(const LtEvent&) = delete;
};

// Milliseconds of a run, the least of `runs` times of `each` runs one after the other.
float shortest(const LtProduct& p, const LtKernel& kernel, void* to, int runs, int each = 1) {
  const LtEvent begin, end;
  float least = 1e30f;
  for (int i = 0; i < runs; ++i) {
    check_runtime(cudaEventRecord(begin.event, stream()));
    for (int k = 0; k < each; ++k)
      if (!p.run(kernel, to)) return least;
    check_runtime(cudaEventRecord(end.event, stream()));
    check_runtime(cudaEventSynchronize(end.event));
    float time = 0.0f;
    check_runtime(cudaEventElapsedTime(&time, begin.event, end.event));
    least = std::min(least, time / static_cast<float>(each));
  }
  return least;
}

// The first and last rows of each member's output, up to 16 MiB, by which outputs are compared.
std::vector<Tensor> ends_of(const Tensor& out) {
  const int64_t row = out.size(0) * out.size(2) * static_cast<int64_t>(out.element_size());
  const int64_t rows = std::clamp<int64_t>((int64_t{16} << 20) / row, 1, out.size(1));
  return {out.narrow(1, 0, rows), out.narrow(1, out.size(1) - rows, rows)};
}

// The fastest kernel whose output has the bits of the library's first choice. `to`, the product's
// output, is overwritten.
LtKernel chosen(const LtProduct& p, const std::vector<LtKernel>& kernels, Tensor to) {
  const auto once = [&](const LtKernel& kernel) {
    if (p.beta != 0.0f && !p.onto) to.zero_();
    return p.run(kernel, to.mutable_data_ptr());
  };
  if (!once(kernels.front())) fail("[cuda] cuBLASLt refused its own choice for a product.");
  std::vector<Tensor> wanted;
  for (const Tensor& part : ends_of(to)) wanted.push_back(part.clone());
  constexpr float better = 0.985f;  // of the time so far: less is noise
  size_t best = 0;
  float least = shortest(p, kernels.front(), to.mutable_data_ptr(), 2);
  const int each = std::clamp(static_cast<int>(0.3f / least), 1, 16);  // a launch is not timed
  least = shortest(p, kernels.front(), to.mutable_data_ptr(), 3, each);
  for (size_t i = 1; i < kernels.size(); ++i) {
    if (!once(kernels[i])) continue;
    const std::vector<Tensor> got = ends_of(to);
    if (!at::equal(got[0], wanted[0]) || !at::equal(got[1], wanted[1])) continue;
    const float time = shortest(p, kernels[i], to.mutable_data_ptr(), 3, each);
    if (time > better * least) continue;
    least = time;
    best = i;
  }
  return kernels[best];
}

using LtKey = std::array<int64_t, 18>;

LtKey key_of(const LtProduct& p) {
  const auto type = [](const LtMatrix& m) { return static_cast<int64_t>(m.type) * 2 + m.turned; };
  return {c10::cuda::current_device(),
          p.members,
          type(p.first),
          p.first.rows,
          p.first.columns,
          p.first.lead,
          p.first.apart,
          type(p.second),
          p.second.rows,
          p.second.columns,
          p.second.lead,
          p.second.apart,
          type(p.out),
          p.out.lead,
          p.out.apart,
          p.beta != 0.0f,
          p.onto != nullptr,
          p.fast_sums};
}

// Whether a product of codes or bf16 gains by a choice.
bool is_large(const Tensor& out, const Tensor& a) {
  const double least = a.element_size() == 1 ? 1e9 : 3e10;
  return 2.0 * static_cast<double>(out.numel()) * static_cast<double>(a.size(2)) >= least;
}

// The choice for a product, made at its first run; trials of several threads wait for each other.
// A step is captured after it has run, so that a capture finds it made.
LtKernel kernel_of(const LtProduct& p, const Tensor& out, const Tensor& a, const Tensor& b) {
  static std::mutex lock;
  static std::map<LtKey, LtKernel> choices;
  const LtKey key = key_of(p);
  const std::lock_guard guard(lock);
  if (const auto found = choices.find(key); found != choices.end()) return found->second;
  const std::vector<LtKernel> kernels = kernels_for(p);
  if (c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None)
    return kernels.front();
  if (!is_large(out, a)) return choices.emplace(key, kernels.front()).first->second;
  const bool accumulates = p.beta != 0.0f && !p.onto;
  const Tensor to = accumulates ? at::empty(out.sizes(), out.options()) : out;
  const LtProduct trial(to, p.onto, p.beta, a, b, p.alpha, p.fast_sums);
  return choices.emplace(key, chosen(trial, kernels, to)).first->second;
}

}  // namespace

// Whether the library has the types, and the tensors lie as it wants them.
bool fits_library(const Tensor& out, const Tensor& a, const Tensor& b) {
  const auto is_fp8 = [](const Tensor& t) {
    return t.scalar_type() == at::kFloat8_e4m3fn || t.scalar_type() == at::kFloat8_e5m2;
  };
  if (!is_fp8(a) && a.scalar_type() != at::kBFloat16) return false;
  if (is_fp8(a) != is_fp8(b)) return false;
  if (out.scalar_type() != at::kBFloat16 && out.scalar_type() != at::kFloat) return false;
  const auto first = lt_matrix(b), second = lt_matrix(a), to = lt_matrix(out);
  if (!first || !second || !to || to->turned) return false;
  return !is_fp8(a) || (first->turned && !second->turned);
}

bool fits_product(const Tensor& out, const Tensor& a, const Tensor& b) {
  return is_large(out, a) && fits_library(out, a, b);
}

void product(const Tensor& out, const Tensor& a, const Tensor& b, double alpha, bool accumulate,
             bool fast_sums) {
  const LtProduct p(out, nullptr, accumulate ? 1.0 : 0.0, a, b, alpha, fast_sums);
  if (!p.run(kernel_of(p, out, a, b), out.mutable_data_ptr()))
    fail("[cuda] cuBLASLt failed in a product.");
}

bool fits_product_onto(const Tensor& out, const Tensor& onto, const Tensor& a, const Tensor& b) {
  return onto.scalar_type() == out.scalar_type() && onto.sizes() == out.sizes() &&
         onto.strides() == out.strides() &&
         reinterpret_cast<uintptr_t>(onto.const_data_ptr()) % 16 == 0 && fits_library(out, a, b);
}

void product_onto(const Tensor& out, const Tensor& onto, double beta, const Tensor& a,
                  const Tensor& b, double alpha, bool fast_sums) {
  const LtProduct p(out, onto.const_data_ptr(), beta, a, b, alpha, fast_sums);
  if (!p.run(kernel_of(p, out, a, b), out.mutable_data_ptr()))
    fail("[cuda] cuBLASLt failed in a product.");
}

}  // namespace rung::cuda
#endif
