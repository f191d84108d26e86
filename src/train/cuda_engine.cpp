// The CUDA step: forward, backward, clip and optimizer of all members captured once as a CUDA graph
// (train/captured_step.h) and replayed; the host runs ahead of it (train/step_ring.h). Losses and
// divergence reach MemberState at most StepRing::slots steps late, or at sync().
#include "core/error.h"
#include "train/engine.h"

#ifdef RUNG_CUDA
#include <c10/cuda/CUDAGuard.h>

#include "train/captured_step.h"
#include "train/cuda_evaluate.h"
#include "train/cuda_plan.h"
#include "train/memory.h"
#endif

namespace rung {

#ifndef RUNG_CUDA
std::unique_ptr<Population::Engine> Population::Engine::make_cuda(const Population&) {
  require_cuda();
  return nullptr;
}

void Population::Engine::require_cuda() {
  fail(
      "[device] This build has no CUDA. Rebuild with RUNG_CUDA=1 on a machine with a GPU, or use "
      "--device cpu.");
}
#else

namespace {

bool computes_in_half(const Population& p) {
  const std::string& precision = p.states.front().config.precision;
  return precision == "bf16" || precision == "fp8";
}

// What a step on a GPU can do.
void check_members(const Population& p) {
  const RunConfig& config = p.states.front().config;
  if (!computes_in_half(p) && config.precision != "fp32")
    fail_usage("[device] CUDA computes in fp32, bf16 or fp8. Received precision '{}'.",
               config.precision);
  if (!computes_in_half(p) && config.train.gradients != "fp32")
    fail_usage("[device] train.gradients = {} on CUDA is for precision bf16 and fp8. Received {}.",
               config.train.gradients, config.precision);
  for (const MemberState& state : p.states)
    if (!same_factors(state.block, p.states.front().block))
      fail_usage(
          "[population] On CUDA the members of a population must share their multipliers. Train "
          "them one at a time, or use --device cpu.");
}

StepShape shape_of(const Population& p, int64_t asked_micro) {
  const std::lock_guard lock(setting_up());
  const StepShape shape{
      .members = p.members(),
      .sequences = p.batch_sequences,
      .context = p.decoder.model.context,
      .micro = asked_micro ? asked_micro : sequences_at_once(p, computes_in_half(p))};
  if (shape.micro < 1 || shape.sequences % shape.micro != 0)
    fail_usage("[device] A batch of {} sequences cannot be cut into parts of {}.", shape.sequences,
               shape.micro);
  return shape;
}

class CudaEngine : public Population::Engine {
 public:
  explicit CudaEngine(const Population& p)
      : own_stream_(machine(p).priority),
        stream_(own_stream_.get()),
        shape_(shape_of(p, machine(p).micro_sequences)),
        ring_(shape_),
        step_(p, shape_, computes_in_half(p), stream_) {}

  ~CudaEngine() override {
    cudaStreamSynchronize(stream_.stream());
    const std::lock_guard lock(setting_up());
    step_.reset();
  }

  void advance(Population& p) override {
    prepare(p);
    ring_.make_room(p);
    const c10::cuda::CUDAStreamGuard guard(stream_);
    ring_.send(p, step_.input(), stream_);
    step_.replay(p);
    if (!p.optimizer->captured) version_ = versions(p);
    ring_.close(stream_);
  }

  void sync(Population& p) override {
    ring_.collect_all(p);
    check_cuda(cudaStreamSynchronize(stream_.stream()));
  }

  std::vector<Evaluation> evaluate(Population& p, const HeldOut& held_out) override {
    if (held_out.windows() < 1) fail("[evaluate] There are no held-out windows to evaluate on.");
    sync(p);
    prepare(p);
    const int64_t context = held_out.context;
    const int64_t chunk =
        std::min(held_out.windows(), evaluated_windows(p.decoder, p.states.front().config,
                                                       shape_.members, shape_.micro, context));
    const c10::cuda::CUDAStreamGuard guard(stream_);
    const Ropes ropes = context == shape_.context
                            ? step_.ropes()
                            : make_ropes(p.decoder.model, context, p.weights.options());
    return evaluate_on_gpu(p, step_.weights(), held_out, ropes, chunk);
  }

 private:
  // Counts every writing through tensors.
  static int64_t versions(const Population& p) {
    int64_t version = p.weights._version();
    for (const auto& [name, tensor] : p.optimizer_state) version += tensor._version();
    return version;
  }

  // Captures the step the first time, and again when the population's buffers were exchanged;
  // follows weights that were overwritten from outside.
  void prepare(Population& p) {
    std::vector<const void*> buffers{p.weights.const_data_ptr()};
    for (const auto& [name, tensor] : p.optimizer_state) buffers.push_back(tensor.const_data_ptr());
    if (buffers == buffers_ && versions(p) == version_) return;
    const std::lock_guard lock(setting_up());
    sync(p);
    check_cuda(cudaDeviceSynchronize());  // whoever wrote the weights did so on another stream
    const c10::cuda::CUDAStreamGuard guard(stream_);
    if (buffers != buffers_) {
      step_.capture(p, ring_);
      buffers_ = buffers;
    }
    step_.follow_weights(p);
    version_ = versions(p);
  }

  cuda::OwnStream own_stream_;
  c10::cuda::CUDAStream stream_;
  StepShape shape_;
  StepRing ring_;
  CapturedStep step_;
  std::vector<const void*> buffers_;  // that the step was captured on
  int64_t version_ = -1;
};

}  // namespace

void Population::Engine::require_cuda() {
  if (c10::cuda::device_count() == 0)
    fail("[device] No CUDA device was found. Check the driver, or use --device cpu.");
}

std::unique_ptr<Population::Engine> Population::Engine::make_cuda(const Population& population) {
  require_cuda();
  check_members(population);
  return std::make_unique<CudaEngine>(population);
}
#endif

}  // namespace rung
