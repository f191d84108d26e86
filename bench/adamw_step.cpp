// AdamW's kernel alone, by what the moments are kept in: `adamw_step [ELEMENTS]`. Time of a step,
// and the bytes that it must read and write over that time. For builds with RUNG_CUDA.
#include <ATen/Context.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAFunctions.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "optim/moments.h"

using namespace rung;

namespace {

using at::Tensor;

constexpr int repeats = 20;

void time_step(int64_t elements, const char* moments, bool drawn) {
  const auto floats = at::TensorOptions().device(at::kCUDA).dtype(at::kFloat);
  Layout layout;
  layout.tensors = {{.name = "w", .shape = {elements}}};
  layout.factors = {{}};
  layout.offsets = {0};
  layout.stride = layout.trained = elements;
  const Optimizer& adamw = find_optimizer("adamw");
  const std::vector<StateSpec> states = states_of(adamw, layout, moments);
  std::map<std::string, Tensor> state;
  for (const StateSpec& s : states)
    state[s.name] = at::zeros({1, s.size}, floats.dtype(s.type.value_or(at::kFloat)));
  const Tensor weights = at::randn({1, elements}, floats),
               gradient = at::randn({1, elements}, floats) * 1e-3;
  StepInput in{layout, weights, gradient, state, at::full({1, hyper_count}, 0.5, floats)};
  in.hyper.select(1, hyper_lr).fill_(1e-4);
  in.hyper.select(1, hyper_decay).fill_(0.0);
  in.slots = make_slots(layout).to(at::kCUDA);
  in.alive = at::ones({1}, floats.dtype(at::kInt));
  in.compute = at::zeros({1, elements}, floats.dtype(at::kBFloat16));
  if (drawn) in.keys = at::full({1}, 12345, floats.dtype(at::kLong));
  std::vector<float> times;
  for (int i = 0; i < repeats; ++i) {
    at::cuda::CUDAEvent begin(cudaEventDefault), end(cudaEventDefault);
    begin.record();
    adamw.step(in);
    end.record();
    end.synchronize();
    times.push_back(begin.elapsed_time(end));
  }
  std::sort(times.begin(), times.end());
  const double ms = static_cast<double>(times[repeats / 2]);
  // Gradient read, weight and moments read and written, the copy written.
  const double each =
      4.0 + 8.0 + 2.0 + 2.0 * state_bytes(states, 4.0) / static_cast<double>(elements);
  std::printf("%12lld %-5s %-10s %8.3f ms  %5.2f bytes each  %.2f TB/s\n",
              static_cast<long long>(elements), moments, drawn ? "stochastic" : "nearest", ms, each,
              each * static_cast<double>(elements) / ms * 1e-9);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    at::globalContext().lazyInitDevice(at::kCUDA);
    const int64_t wanted = argc > 1 ? std::atoll(argv[1]) : 162'000'000;
    const int64_t elements = wanted / 128 * 128;
    time_step(elements, "fp32", false);
    for (const char* moments : {"bf16", "fp8"})
      for (const bool drawn : {false, true}) time_step(elements, moments, drawn);
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
