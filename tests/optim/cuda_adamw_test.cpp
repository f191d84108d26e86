// AdamW on the GPU against its plain twin in fp64: factors by tensor, frozen members, the bf16
// copy.
#ifdef RUNG_CUDA
#include <c10/cuda/CUDAFunctions.h>

#include "optim/adam_scaled.h"
#include "optim/adamw.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("AdamW on the GPU equals its twin and leaves frozen members alone") {
  if (c10::cuda::device_count() == 0) {
    MESSAGE("skipped: no CUDA device");
    return;
  }
  Layout layout;
  layout.tensors = {{.name = "a", .shape = {5, 100}}, {.name = "b", .shape = {64}}};
  layout.factors = {{.C = 0.5, .decay = 2.0, .epsilon = 3.0},
                    {.C = 1.5, .decay = 0.0, .epsilon = 1.0}};
  layout.offsets = {0, 512};
  layout.stride = 640;
  const at::Device device(at::kCUDA);
  Tensor weights = normal({3, 640}, 1), gradient = normal({3, 640}, 2);
  for (Tensor t : {weights, gradient}) {  // padding is zero
    t.narrow(1, 500, 12).zero_();
    t.narrow(1, 576, 64).zero_();
  }
  std::map<std::string, Tensor> wide{{"exp_avg", at::zeros({3, 640}, at::kDouble)},
                                     {"exp_avg_sq", at::zeros({3, 640}, at::kDouble)}};
  std::map<std::string, Tensor> narrow;
  for (const auto& [name, t] : wide) narrow[name] = t.to(device, at::kFloat);
  Tensor hyper = at::zeros({3, hyper_count}, at::kFloat);
  const float row[hyper_count] = {0.01f, 0.001f, 0.9f, 0.95f, 1e-3f, 0.1f, 0.05f, 0.7f};
  for (int64_t m = 0; m < 3; ++m)
    for (int h = 0; h < hyper_count; ++h)
      hyper[m][h].fill_(row[h] * (h == hyper_lr ? static_cast<float>(m + 1) : 1.0f));
  Tensor fast = weights.to(device, at::kFloat);
  Tensor compute = at::zeros({3, 640}, fast.options().dtype(at::kBFloat16));
  Tensor alive = at::ones({3}, fast.options().dtype(at::kInt));
  alive[1].fill_(0);
  const Tensor frozen = weights[1].clone();
  for (int step = 0; step < 3; ++step) {
    adamw_step_plain({layout, weights, gradient, wide, hyper});
    adamw_step({layout,
                fast,
                gradient.to(device, at::kFloat),
                narrow,
                hyper.to(device),
                {},
                alive,
                compute});
  }
  const Tensor got = fast.cpu().to(at::kDouble);
  for (const int64_t m : {0, 2}) CHECK(distance(got[m], weights[m]) < 1e-6);
  CHECK(distance(got[1], frozen) < 1e-7);
  CHECK(same_bits(compute[0], fast[0].to(at::kBFloat16)));
  CHECK(distance(got.narrow(1, 576, 64) + 1.0, at::ones({3, 64}, at::kDouble)) == 0.0);
}

TEST_CASE("parameter scaling on the GPU is the CPU's in fp32 and leaves frozen members alone") {
  if (c10::cuda::device_count() == 0) {
    MESSAGE("skipped: no CUDA device");
    return;
  }
  Layout layout;
  layout.tensors = {{.name = "a", .shape = {5, 100}}, {.name = "b", .shape = {64}}};
  layout.factors = {{.C = 0.5, .decay = 2.0, .epsilon = 3.0},
                    {.C = 1.5, .decay = 0.0, .epsilon = 1.0}};
  layout.offsets = {0, 512};
  layout.stride = 640;
  const at::Device device(at::kCUDA);
  Tensor weights = normal({2, 640}, 1), gradient = normal({2, 640}, 2);
  Tensor fast = weights.to(device, at::kFloat);
  std::map<std::string, Tensor> wide{{"exp_avg", at::zeros({2, 640}, at::kDouble)},
                                     {"exp_avg_sq", at::zeros({2, 640}, at::kDouble)}};
  std::map<std::string, Tensor> narrow;
  for (const auto& [name, t] : wide) narrow[name] = t.to(device, at::kFloat);
  Tensor hyper = at::zeros({2, hyper_count}, at::kFloat);
  const float row[hyper_count] = {0.01f, 0.001f, 0.9f, 0.95f, 1e-3f, 0.1f, 0.05f, 0.7f};
  for (int h = 0; h < hyper_count; ++h) hyper.select(1, h).fill_(row[h]);
  Tensor alive = at::ones({2}, fast.options().dtype(at::kInt));
  alive[1].fill_(0);
  Tensor compute = at::zeros({2, 640}, fast.options().dtype(at::kBFloat16));
  const Tensor frozen = weights[1].clone();
  for (int step = 0; step < 3; ++step) {
    adam_scaled_step({layout, weights, gradient, wide, hyper});
    adam_scaled_step({layout,
                      fast,
                      gradient.to(device, at::kFloat),
                      narrow,
                      hyper.to(device),
                      {},
                      alive,
                      compute});
  }
  const Tensor got = fast.cpu().to(at::kDouble);
  CHECK(distance(got[0], weights[0]) < 1e-5);
  CHECK(distance(got[1], frozen) < 1e-7);
  CHECK(same_bits(compute[0], fast[0].to(at::kBFloat16)));
}
#endif
