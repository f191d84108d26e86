#ifdef RUNG_CUDA
#include "train/captured_step.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDACachingAllocator.h>

#include "ops/cuda/blank.h"
#include "ops/cuda/clear_nodes.h"
#include "ops/cuda/gradients.h"
#include "ops/cuda/library_attention.h"
#include "ops/span.h"
#include "train/engine.h"

namespace rung {

using at::Tensor;

namespace {

constexpr int64_t most_counters = 1024;  // of large products in a step
constexpr int warm_ups = 2;  // before capture: library handles, workspaces, kernel modules

// The i-th run of gradients to clear; where it ends at no multiple of 4, padding follows.
cuda::ClearedRun cleared_run(const CudaWeights& w, size_t i) {
  if (i >= w.cleared.size()) return {};
  const auto [begin, count] = w.cleared[i];
  const Tensor& wide = w.wide();
  return {wide.mutable_data_ptr<float>() + begin, (count + 3) / 4 * 4, wide.stride(0)};
}

}  // namespace

std::mutex& setting_up() {
  static std::mutex mutex;
  return mutex;
}

CapturedStep::CapturedStep(const Population& p, const StepShape& shape, bool half,
                           c10::cuda::CUDAStream stream)
    : shape_(shape),
      half_(half),
      stream_(stream),
      company_(stream, shape.members * shape.micro * shape.context * p.decoder.model.width <=
                           cuda::most_numbers_beside) {}

// Warm-up leaves the weights alone: inputs are zero, so every member counts as not running.
void CapturedStep::capture(Population& p, const StepRing& ring) {
  graph_.reset();
  allocate(p, ring.input_bytes());
  meet_libraries();
  round_weights(p, weights_);
  for (int i = 0; i < warm_ups; ++i) step(p, ring);
  check_cuda(cudaStreamSynchronize(stream_.stream()));
  c10::cuda::CUDACachingAllocator::emptyCache();
  graph_.emplace(/*keep_graph=*/true);
  graph_->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
  {
    const cuda::TileCounters::Use counters(*counters_);
    step(p, ring);
  }
  graph_->capture_end();
  counters_->clear_at_once(graph_->raw_cuda_graph());
  cuda::clear_by_kernels(graph_->raw_cuda_graph());
  graph_->instantiate();
  turns_.fill_(ring.slot());
}

void CapturedStep::follow_weights(const Population& p) {
  round_weights(p, weights_);
  alive_.fill_(1);
}

void CapturedStep::replay(Population& p) {
  graph_->replay();
  if (!p.optimizer->captured) move(p);
}

void CapturedStep::allocate(const Population& p, int64_t input_bytes) {
  const auto [members, sequences, context, micro] = shape_;
  const auto floats = p.weights.options().dtype(at::kFloat);
  const auto longs = floats.dtype(at::kLong);
  input_ = at::zeros({StepRing::slots, input_bytes}, floats.dtype(at::kByte));
  turns_ = at::zeros({members}, floats.dtype(at::kInt));
  tokens_ = at::zeros({members, micro, context}, longs);
  targets_ = at::zeros({members, micro, context}, longs);
  losses_ = at::zeros({members, sequences, context}, floats);
  hyper_ = at::zeros({members, hyper_count}, floats);
  alive_ = at::zeros({members}, floats.dtype(at::kInt));
  if (Population::Engine::rounds_by_draws(p)) keys_ = at::zeros({members}, longs);
  shares_ =
      at::zeros({members, cuda::finish_blocks(p.trained.stride), 2}, floats.dtype(at::kDouble));
  ended_ = at::zeros({members}, floats.dtype(at::kInt));
  counters_.emplace(ended_, most_counters);
  ropes_ = make_ropes(p.decoder.model, context, floats);
  weights_ = make_cuda_weights(p, half_, micro == sequences);
}

// The backward pass runs on a thread of its own, for which cuBLAS takes a workspace at its first
// product. Taken out of a large piece of memory that a pass has used and left, it would keep all
// of that from being given back before capture.
void CapturedStep::meet_libraries() const {
  const Tensor x = at::zeros({8, 8}, hyper_.options()).requires_grad_();
  x.mm(x).sum().backward();
}

cuda::Turns CapturedStep::turns() const {
  return {.turn = reinterpret_cast<unsigned*>(turns_.mutable_data_ptr<int>()),
          .slots = StepRing::slots,
          .stride = input_.size(1)};
}

void CapturedStep::step(Population& p, const StepRing& ring) {
  const cuda::AnyOrder order(!p.states.front().config.train.deterministic);
  for (int64_t begin = 0; begin < shape_.sequences; begin += shape_.micro) pass(p, begin);
  const Span span("rung::optimizer");
  const at::NoGradGuard off;
  mask_gradients(p, weights_);
  finish(p, ring);
  if (p.optimizer->captured) move(p);
}

// Adds the gradients of every member's sequences from `begin` on; the first pass clears them.
void CapturedStep::pass(const Population& p, int64_t begin) {
  const auto [members, sequences, context, micro] = shape_;
  const double scale = 1.0 / static_cast<double>(sequences * context);
  const bool first = begin == 0;
  cuda::split_windows(members, sequences, context, begin, micro, turns(),
                      reinterpret_cast<const int32_t*>(input()),
                      tokens_.mutable_data_ptr<int64_t>(), targets_.mutable_data_ptr<int64_t>(),
                      first ? cleared_run(weights_, 0) : cuda::ClearedRun(), cuda::stream());
  std::optional<cuda::BlankGradients> blank;
  if (first && !weights_.blank.empty()) {
    blank.emplace(weights_.blank);
    for (size_t i = 1; i < weights_.cleared.size(); ++i)
      weights_.wide().narrow(1, weights_.cleared[i].first, weights_.cleared[i].second).zero_();
  }
  const Tensor losses = token_losses(p.decoder, weights_.bound, tokens_, targets_, ropes_, scale);
  const Tensor values = losses.detach();
  cuda::beside({values}, losses_, [&] {
    const at::NoGradGuard off;
    losses_.narrow(1, begin, shape_.micro).copy_(values);
  });
  losses.backward(values);  // the loss's own gradient lies in `scale`
  if (blank) blank->clear_rest();
  company_.join();
}

// Norm, clip and what the host is told.
void CapturedStep::finish(const Population& p, const StepRing& ring) {
  cuda::finish_step(
      {.members = shape_.members,
       .size = p.trained.stride,
       .rows = shape_.sequences * shape_.context,
       .gradient = cuda::gradients_of(weights_.gradient, weights_.two_buffers()),
       .losses = losses_.const_data_ptr<float>(),
       .turns = turns(),
       .control = reinterpret_cast<const float*>(input() + ring.control_at()),
       .partial = shares_.mutable_data_ptr<double>(),
       .ended = reinterpret_cast<unsigned*>(ended_.mutable_data_ptr<int>()),
       .alive = alive_.mutable_data_ptr<int>(),
       .hyper = hyper_.mutable_data_ptr<float>(),
       .result = ring.results(),
       .keys = keys_.defined() ? reinterpret_cast<uint64_t*>(keys_.mutable_data_ptr<int64_t>())
                               : nullptr},
      cuda::stream());
}

void CapturedStep::move(Population& p) {
  const at::NoGradGuard off;
  const auto moving = [&](const Tensor& t) { return t.narrow(1, 0, p.trained.stride); };
  p.optimizer->step({p.trained, moving(p.weights), weights_.gradient, p.optimizer_state, hyper_,
                     weights_.slots, alive_, half_ ? moving(weights_.compute) : Tensor(), keys_,
                     weights_.codes, weights_.two_buffers()});
}

}  // namespace rung
#endif
