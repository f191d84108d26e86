// AdamW on the GPU against its plain twin in fp64: factors by tensor, frozen members, the bf16
// copy.
#ifdef RUNG_CUDA
#include "optim/adam_scaled.h"
#include "optim/adamw.h"
#include "support/no_gpu.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

// Members of two tensors on both devices: fp64 on the CPU, fp32 with a bf16 copy on the GPU; member
// 1 is not alive.
struct Sides {
  Layout layout;
  Tensor weights, gradient, hyper;
  std::map<std::string, Tensor> wide, narrow;  // Adam's moments
  Tensor fast, compute, alive;

  StepInput plain() { return {layout, weights, gradient, wide, hyper}; }
  StepInput on_gpu() {
    return {
        layout, fast,   gradient.to(fast.device(), at::kFloat), narrow, hyper.to(fast.device()), {},
        alive,  compute};
  }
};

// The rate of member m is m + 1 times the first's.
Sides make_sides(int64_t members) {
  Sides s;
  s.layout.tensors = {{.name = "a", .shape = {5, 100}}, {.name = "b", .shape = {64}}};
  s.layout.factors = {{.C = 0.5, .decay = 2.0, .epsilon = 3.0},
                      {.C = 1.5, .decay = 0.0, .epsilon = 1.0}};
  s.layout.offsets = {0, 512};
  s.layout.stride = 640;
  s.weights = normal({members, 640}, 1);
  s.gradient = normal({members, 640}, 2);
  for (Tensor t : {s.weights, s.gradient}) {  // padding is zero
    t.narrow(1, 500, 12).zero_();
    t.narrow(1, 576, 64).zero_();
  }
  s.hyper = at::zeros({members, hyper_count}, at::kFloat);
  const float row[hyper_count] = {0.01f, 0.001f, 0.9f, 0.95f, 1e-3f, 0.1f, 0.05f, 0.7f};
  for (int64_t m = 0; m < members; ++m)
    for (int h = 0; h < hyper_count; ++h)
      s.hyper[m][h].fill_(row[h] * (h == hyper_lr ? static_cast<float>(m + 1) : 1.0f));
  s.fast = s.weights.to(at::Device(at::kCUDA), at::kFloat);
  for (const char* name : {"exp_avg", "exp_avg_sq"}) {
    s.wide[name] = at::zeros({members, 640}, at::kDouble);
    s.narrow[name] = at::zeros_like(s.fast);
  }
  s.compute = at::zeros({members, 640}, s.fast.options().dtype(at::kBFloat16));
  s.alive = at::ones({members}, s.fast.options().dtype(at::kInt));
  s.alive[1].fill_(0);
  return s;
}

}  // namespace

TEST_CASE("AdamW on the GPU equals its twin and leaves frozen members alone") {
  if (no_gpu()) return;
  Sides s = make_sides(3);
  const Tensor frozen = s.weights[1].clone();
  for (int step = 0; step < 3; ++step) {
    adamw_step_plain(s.plain());
    adamw_step(s.on_gpu());
  }
  const Tensor got = s.fast.cpu().to(at::kDouble);
  for (const int64_t m : {0, 2}) CHECK(distance(got[m], s.weights[m]) < 1e-6);
  CHECK(distance(got[1], frozen) < 1e-7);
  CHECK(same_bits(s.compute[0], s.fast[0].to(at::kBFloat16)));
  CHECK(distance(got.narrow(1, 576, 64) + 1.0, at::ones({3, 64}, at::kDouble)) == 0.0);
}

TEST_CASE("AdamW on the GPU writes codes where a tensor has a scale, and its copy elsewhere") {
  if (no_gpu()) return;
  Sides s = make_sides(3), plain = make_sides(3);
  s.alive.fill_(1), plain.alive.fill_(1);
  StepInput in = s.on_gpu();
  in.slots = make_slots(s.layout).to(at::kCUDA);
  in.slots.narrow(0, 0, 4).select(1, 3).fill_(2.0);  // the first tensor
  in.codes = at::zeros({3, 640}, s.fast.options().dtype(at::kFloat8_e4m3fn));
  adamw_step(in);
  adamw_step(plain.on_gpu());
  CHECK(same_bits(s.fast, plain.fast));
  const Tensor codes = in.codes.to(at::kFloat), first = s.fast.narrow(1, 0, 512);
  const Tensor want = (first.to(at::kBFloat16).to(at::kFloat) * 2.0).to(at::kFloat8_e4m3fn);
  CHECK(same_bits(codes.narrow(1, 0, 512), want.to(at::kFloat)));
  CHECK(codes.narrow(1, 512, 128).abs().max().item<double>() == 0.0);
  CHECK(s.compute.narrow(1, 0, 512).abs().max().item<double>() == 0.0);
  CHECK(same_bits(s.compute.narrow(1, 512, 128), plain.compute.narrow(1, 512, 128)));
}

TEST_CASE("parameter scaling on the GPU is the CPU's in fp32 and leaves frozen members alone") {
  if (no_gpu()) return;
  Sides s = make_sides(2);
  const Tensor frozen = s.weights[1].clone();
  for (int step = 0; step < 3; ++step) {
    adam_scaled_step(s.plain());
    adam_scaled_step(s.on_gpu());
  }
  const Tensor got = s.fast.cpu().to(at::kDouble);
  CHECK(distance(got[0], s.weights[0]) < 1e-5);
  CHECK(distance(got[1], frozen) < 1e-7);
  CHECK(same_bits(s.compute[0], s.fast[0].to(at::kBFloat16)));
}
#endif
