// Checks that a fused op on the GPU and its plain twin in fp64 on the CPU are one function, from
// the same rounded inputs. For builds with RUNG_CUDA.
#pragma once
#include <ATen/Parallel.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <exception>
#include <string>

#include "support/half.h"
#include "support/no_gpu.h"

namespace rung::test {

// Twins are small: a team of all of a large host's cores waits for itself, minutes where the host
// is busy.
inline const bool few_threads = [] {
  at::set_num_threads(std::min(4, at::get_num_threads()));
  return true;
}();

inline Tensor rounded(const Tensor& x, at::ScalarType type) {
  return x.is_floating_point() ? x.to(type).to(at::kDouble) : x;
}

// A view of a wider buffer, as the arena's are.
inline Tensor in_arena(const Tensor& x) {
  const int64_t size = x.numel() / x.size(0), stride = (size + 127) / 128 * 128 + 256;
  Tensor buffer = at::zeros({x.size(0), stride}, x.options());
  std::vector<int64_t> strides{stride};
  for (int64_t d = 1; d < x.dim(); ++d) strides.push_back(x.stride(d));
  Tensor view = buffer.as_strided(x.sizes(), strides, 128);
  view.copy_(x);
  return view;
}

// What an op reads on one device; weights' gradients are fp32 on the GPU.
struct Prepared {
  at::ScalarType type;
  bool cuda;
  std::vector<Tensor> inputs, upstream;
  std::vector<Weight> weights;

  Tensor place(const Tensor& x) const {
    const at::Device device(cuda ? at::kCUDA : at::kCPU);
    return x.is_floating_point() ? rounded(x, type).to(device, cuda ? type : at::kDouble)
                                 : x.to(device);
  }
};

inline Prepared prepare(const Twin& twin, at::ScalarType type, bool cuda) {
  Prepared p{type, cuda, {}, {}, {}};
  for (const Tensor& x : twin.inputs) {
    p.inputs.push_back(p.place(x).clone());
    if (x.is_floating_point()) p.inputs.back().set_requires_grad(true);
  }
  for (size_t i = 0; i < twin.weights.size(); ++i) {
    Weight w = twin.factors;
    w.value = in_arena(p.place(twin.weights[i]));
    w.gradient = in_arena(normal(w.value.sizes().vec(), 900 + i)
                              .to(at::kFloat)
                              .to(w.value.device(), cuda ? at::kFloat : at::kDouble));
    p.weights.push_back(w);
  }
  return p;
}

// Outputs, input gradients, weight gradients.
inline std::vector<Tensor> execute(const Twin& twin, const Twin::Op& op, Prepared& p) {
  std::vector<Tensor> results;
  Tensor total;
  const std::vector<Tensor> outputs = op(p.inputs, p.weights);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& y = outputs[i];
    if (p.upstream.size() == i) p.upstream.push_back(p.place(normal(y.sizes().vec(), 700 + i)));
    results.push_back(y.detach());
    const Tensor sum = twin.unit_upstream ? y.sum() : (y * p.upstream[i]).sum();
    total = total.defined() ? total + sum : sum;
  }
  total.backward();
  for (const Tensor& x : p.inputs)
    if (x.is_floating_point()) results.push_back(x.grad());
  for (const Weight& w : p.weights) results.push_back(w.gradient);
  return results;
}

inline std::vector<Tensor> run_on(const Twin& twin, const Twin::Op& op, at::ScalarType type,
                                  bool cuda) {
  Prepared p = prepare(twin, type, cuda);
  std::vector<Tensor> results = execute(twin, op, p);
  for (Tensor& result : results) result = result.to(at::kCPU).to(at::kDouble);
  return results;
}

inline void check_on_gpu(const Twin& twin, double half_tolerance = 6e-3,
                         double single_tolerance = 1e-5) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    INFO(twin.name, " ", std::string(toString(type)));
    const auto want = run_on(twin, twin.plain, type, false);
    const auto got = run_on(twin, twin.fused, type, true);
    const auto again = run_on(twin, twin.fused, type, true);
    REQUIRE(got.size() == want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      CAPTURE(i);
      CHECK(gap(got[i], want[i]) < (type == at::kFloat ? single_tolerance : half_tolerance));
      CHECK(same_bits(got[i], again[i]));
    }
  }
}

// The fused op, forward and backward, in a CUDA graph: nothing in it waits for the device or
// depends on its numbers, and a replay gives the bits of the plain call.
inline void check_captured(const Twin& twin) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    INFO(twin.name, " captured ", std::string(toString(type)));
    Prepared p = prepare(twin, type, true);
    const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool();
    c10::cuda::device_synchronize();
    const c10::cuda::CUDAStreamGuard guard(stream);
    std::vector<Tensor> start, want, got;
    for (const Weight& w : p.weights) start.push_back(w.gradient.clone());
    const auto body = [&] {
      for (size_t i = 0; i < start.size(); ++i) p.weights[i].gradient.copy_(start[i]);
      for (Tensor& x : p.inputs) x.mutable_grad() = Tensor();
      return execute(twin, twin.fused, p);
    };
    for (const Tensor& result : body()) want.push_back(result.clone());
    c10::cuda::device_synchronize();
    at::cuda::CUDAGraph graph;
    try {
      graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
      got = body();
      graph.capture_end();
      graph.replay();
      c10::cuda::device_synchronize();
    } catch (const std::exception& error) {
      const std::string what = error.what();
      try {
        graph.capture_end();
      } catch (const std::exception&) {  // it says the same again
      }
      FAIL_CHECK("cannot be captured: ", what.substr(0, what.find('\n')));
      continue;
    }
    REQUIRE(got.size() == want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      CAPTURE(i);
      CHECK(same_bits(got[i], want[i]));
    }
  }
}

inline void check_both(const Twin& twin, double half_tolerance, double single_tolerance = 1e-5) {
  check_on_gpu(twin, half_tolerance, single_tolerance);
  check_captured(twin);
}

}  // namespace rung::test
