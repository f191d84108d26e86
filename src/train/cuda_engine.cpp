// The CUDA step: forward, backward, clip and optimizer of all members captured once as a CUDA graph
// and replayed. A replay's inputs (token windows and hyperparameters) and results (loss, norm,
// alive) pass through a ring of pinned buffers, so the host never waits for the step it starts, and
// the device not for copies: inputs come on a stream of their own, results are written to the
// host's memory. Losses and divergence reach MemberState at most `ring` steps late, or at sync().
#include "core/error.h"
#include "train/engine.h"

#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <optional>

#include "ops/cuda/blank.h"
#include "ops/cuda/company.h"
#include "ops/cuda/gradients.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/library_attention.h"
#include "ops/cuda/own_stream.h"
#include "ops/span.h"
#include "train/cuda_plan.h"
#include "train/cuda_weights.h"
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

using at::Tensor;

constexpr int64_t ring = 8;  // steps that may be under way
constexpr int warm_ups = 2;  // before capture: library handles, workspaces, kernel modules

// Populations may train in several threads of one process. Held while a step is captured, when
// nobody may wait for the device; while a captured step goes, as LibTorch drops what the generators
// of all captures share with the last one that it knows of; and while a trial reads what the
// allocator gave out.
std::mutex& setting_up() {
  static std::mutex mutex;
  return mutex;
}

void check(cudaError_t error) {
  if (error != cudaSuccess) fail("[cuda] {}.", cudaGetErrorString(error));
}

// One step's host side: pinned memory that the device reads and writes, when the input is over
// there, and when the step is done.
struct Slot {
  std::byte* input = nullptr;
  const float* result = nullptr;
  cudaEvent_t arrived = nullptr, done = nullptr;
};

class CudaEngine : public Population::Engine {
 public:
  explicit CudaEngine(const Population& p)
      : own_stream_(machine(p).priority),
        stream_(own_stream_.get()),
        copies_(own_copies_.get()),
        half_(p.states.front().config.precision == "bf16" ||
              p.states.front().config.precision == "fp8") {
    const std::string& precision = p.states.front().config.precision;
    if (precision != "bf16" && precision != "fp32" && precision != "fp8")
      fail_usage("[device] CUDA computes in fp32, bf16 or fp8. Received precision '{}'.",
                 precision);
    if (!half_ && p.states.front().config.train.gradients != "fp32")
      fail_usage(
          "[device] train.gradients = {} on CUDA is for precision bf16 and fp8. Received {}.",
          p.states.front().config.train.gradients, precision);
    for (const MemberState& state : p.states)
      if (!same_factors(state.block, p.states.front().block))
        fail_usage(
            "[population] On CUDA the members of a population must share their multipliers. Train "
            "them one at a time, or use --device cpu.");
    members_ = p.members();
    sequences_ = p.batch_sequences;
    context_ = p.decoder.model.context;
    {
      const std::lock_guard lock(setting_up());
      micro_ =
          machine(p).micro_sequences ? machine(p).micro_sequences : sequences_at_once(p, half_);
    }
    if (micro_ < 1 || sequences_ % micro_ != 0)
      fail_usage("[device] A batch of {} sequences cannot be cut into parts of {}.", sequences_,
                 micro_);
    if (members_ * micro_ * context_ * p.decoder.model.width <= cuda::most_numbers_beside)
      company_.emplace(stream_);
    const int64_t window_bytes =
        members_ * sequences_ * (context_ + 1) * static_cast<int64_t>(sizeof(int32_t));
    control_at_ = (window_bytes + 255) / 256 * 256;
    input_bytes_ =
        control_at_ + members_ * cuda::control_count * static_cast<int64_t>(sizeof(float));
    check(cudaMallocHost(reinterpret_cast<void**>(&results_),
                         ring * members_ * cuda::result_count * sizeof(float)));
    for (size_t i = 0; i < slots_.size(); ++i) {
      Slot& slot = slots_[i];
      check(cudaMallocHost(reinterpret_cast<void**>(&slot.input), input_bytes_));
      slot.result = results_ + static_cast<int64_t>(i) * members_ * cuda::result_count;
      for (cudaEvent_t* event : {&slot.arrived, &slot.done})
        check(cudaEventCreateWithFlags(event, cudaEventDisableTiming));
    }
  }

  ~CudaEngine() override {
    cudaStreamSynchronize(copies_.stream());
    cudaStreamSynchronize(stream_.stream());
    {
      const std::lock_guard lock(setting_up());
      graph_.reset();
    }
    for (Slot& slot : slots_) {
      cudaEventDestroy(slot.arrived);
      cudaEventDestroy(slot.done);
      cudaFreeHost(slot.input);
    }
    cudaFreeHost(results_);
  }

  void advance(Population& p) override {
    prepare(p);
    while (started_ - collected_ >= ring) collect(p, true);
    while (collected_ < started_ && collect(p, false)) {
    }
    Slot& slot = slots_[static_cast<size_t>(started_ % ring)];
    fill(p, slot);
    const c10::cuda::CUDAStreamGuard guard(stream_);
    std::byte* const there =
        static_cast<std::byte*>(input_.mutable_data_ptr()) + started_ % ring * input_bytes_;
    check(
        cudaMemcpyAsync(there, slot.input, input_bytes_, cudaMemcpyHostToDevice, copies_.stream()));
    check(cudaEventRecord(slot.arrived, copies_.stream()));
    check(cudaStreamWaitEvent(stream_.stream(), slot.arrived));
    graph_->replay();
    if (!p.optimizer->captured) {
      move(p);
      version_ = versions(p);
    }
    check(cudaEventRecord(slot.done, stream_.stream()));
    ++started_;
  }

  void sync(Population& p) override {
    while (collected_ < started_) collect(p, true);
    check(cudaStreamSynchronize(stream_.stream()));
  }

  std::vector<Evaluation> evaluate(Population& p, const HeldOut& held_out) override {
    if (held_out.windows() < 1) fail("[evaluate] There are no held-out windows to evaluate on.");
    sync(p);
    prepare(p);
    const int64_t context = held_out.context, windows = held_out.windows();
    const int64_t chunk = std::min(
        windows, evaluated_windows(p.decoder, p.states.front().config, members_, micro_, context));
    const Ropes ropes =
        context == context_ ? ropes_ : make_ropes(p.decoder.model, context, p.weights.options());
    const at::NoGradGuard off;
    const c10::cuda::CUDAStreamGuard guard(stream_);
    std::vector<std::vector<double> > sums(static_cast<size_t>(members_));
    const int32_t documents =
        *std::max_element(held_out.document.begin(), held_out.document.end()) + 1;
    for (auto& row : sums) row.resize(static_cast<size_t>(documents), 0.0);
    Tally tally;
    for (int64_t begin = 0; begin < windows; begin += chunk) {
      const int64_t count = std::min(chunk, windows - begin);
      const Tensor losses = held_out_losses(p, held_out, begin, count, ropes, tally);
      const double* loss = losses.const_data_ptr<double>();
      for (int64_t m = 0; m < members_; ++m)
        for (int64_t i = 0; i < count * context; ++i)
          sums[static_cast<size_t>(m)]
              [static_cast<size_t>(held_out.document[static_cast<size_t>(begin * context + i)])] +=
              loss[m * count * context + i];
    }
    std::vector<Evaluation> results;
    for (size_t m = 0; m < sums.size(); ++m) {
      results.push_back(summarise(held_out, sums[m]));
      results.back().statistics = tally.statistics(static_cast<int64_t>(m));
    }
    return results;
  }

 private:
  // Host losses [P, count * context] of held-out windows, which all members share.
  Tensor held_out_losses(Population& p, const HeldOut& held_out, int64_t begin, int64_t count,
                         const Ropes& ropes, Tally& tally) {
    const int64_t length = held_out.context + 1;
    const Tensor host = at::from_blob(const_cast<int32_t*>(held_out.tokens.data()) + begin * length,
                                      {1, count, length}, at::kInt);
    const Tensor device = host.to(p.weights.device()).to(at::kLong).expand({members_, -1, -1});
    const Tensor tokens = device.narrow(2, 0, held_out.context).contiguous();
    const Tensor targets = device.narrow(2, 1, held_out.context).contiguous();
    return token_losses(p.decoder, own_.bound, tokens, targets, ropes, 0.0, &tally)
        .to(at::kCPU)
        .to(at::kDouble)
        .contiguous();
  }

  // Takes the oldest step's results; false when it is still running and `wait` is not set.
  bool collect(Population& p, bool wait) {
    const Slot& slot = slots_[static_cast<size_t>(collected_ % ring)];
    if (wait) {
      check(cudaEventSynchronize(slot.done));
    } else {
      const cudaError_t state = cudaEventQuery(slot.done);
      if (state == cudaErrorNotReady) return false;
      check(state);
    }
    for (int64_t m = 0; m < members_; ++m) {
      MemberState& state = p.states[static_cast<size_t>(m)];
      if (state.status != MemberStatus::running) continue;
      const float* row = slot.result + m * cuda::result_count;
      state.loss = row[cuda::result_loss];
      state.gradient_norm = row[cuda::result_norm];
      if (row[cuda::result_alive] == 0.0f) state.status = MemberStatus::diverged;
    }
    ++collected_;
    return true;
  }

  // Windows and hyperparameters of the coming step.
  void fill(const Population& p, const Slot& slot) {
    constexpr int64_t task_tokens = 16'384;  // less is not worth waking a worker for
    int32_t* windows = reinterpret_cast<int32_t*>(slot.input);
    const int64_t each = std::max<int64_t>(1, task_tokens / context_);
    const int64_t total = members_ * sequences_, tasks = (total + each - 1) / each;
    const auto read = [&](int64_t task) {
      for (int64_t i = task * each; i < std::min(total, (task + 1) * each); ++i)
        source(p).read(window(p, i / sequences_, i % sequences_),
                       std::span(windows + i * (context_ + 1), static_cast<size_t>(context_ + 1)));
    };
    if (tasks == 1)
      read(0);
    else
      machine(p).pool->run(tasks, read);
    float* control = reinterpret_cast<float*>(slot.input + control_at_);
    for (int64_t m = 0; m < members_; ++m) {
      const MemberState& state = p.states[static_cast<size_t>(m)];
      float* row = control + m * cuda::control_count;
      const auto numbers = hyper(p, m);
      std::copy(numbers.begin(), numbers.end(), row);
      row[cuda::control_clip] = static_cast<float>(state.config.train.clip);
      row[cuda::control_running] = state.status == MemberStatus::running ? 1.0f : 0.0f;
      const uint64_t key = keys_.defined() ? draw_key(p, m) : 0;
      std::memcpy(row + cuda::control_key, &key, sizeof key);
    }
  }

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
    check(cudaDeviceSynchronize());  // whoever wrote the weights did so on another stream
    const c10::cuda::CUDAStreamGuard guard(stream_);
    if (buffers != buffers_) {
      graph_.reset();
      allocate(p);
      capture(p);
      turns_.fill_(started_ % ring);
      buffers_ = buffers;
    }
    round_weights(p, own_);
    alive_.fill_(1);
    version_ = versions(p);
  }

  void allocate(const Population& p) {
    const auto floats = p.weights.options().dtype(at::kFloat);
    const auto longs = floats.dtype(at::kLong);
    const int64_t n = p.trained.stride;
    input_ = at::zeros({ring, input_bytes_}, floats.dtype(at::kByte));
    turns_ = at::zeros({members_}, floats.dtype(at::kInt));
    tokens_ = at::zeros({members_, micro_, context_}, longs);
    targets_ = at::zeros({members_, micro_, context_}, longs);
    losses_ = at::zeros({members_, sequences_, context_}, floats);
    hyper_ = at::zeros({members_, hyper_count}, floats);
    alive_ = at::zeros({members_}, floats.dtype(at::kInt));
    if (rounds_by_draws(p)) keys_ = at::zeros({members_}, longs);
    shares_ = at::zeros({members_, cuda::finish_blocks(n), 2}, floats.dtype(at::kDouble));
    ended_ = at::zeros({members_}, floats.dtype(at::kInt));
    ropes_ = make_ropes(p.decoder.model, context_, floats);
    own_ = make_cuda_weights(p, half_, micro_ == sequences_);
  }

  // The backward pass runs on a thread of its own, for which cuBLAS takes a workspace at its first
  // product. Taken out of a large piece of memory that a pass has used and left, it would keep all
  // of that from being given back before capture.
  void meet_libraries() const {
    const Tensor x = at::zeros({8, 8}, hyper_.options()).requires_grad_();
    x.mm(x).sum().backward();
  }

  // Warm-up leaves the weights alone: inputs are zero, so every member counts as not running.
  void capture(Population& p) {
    meet_libraries();
    round_weights(p, own_);
    for (int i = 0; i < warm_ups; ++i) step(p);
    check(cudaStreamSynchronize(stream_.stream()));
    c10::cuda::CUDACachingAllocator::emptyCache();
    graph_.emplace();
    graph_->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    step(p);
    graph_->capture_end();
  }

  // The i-th run of gradients to clear; where it ends at no multiple of 4, padding follows.
  cuda::ClearedRun cleared(size_t i) {
    if (i >= own_.cleared.size()) return {};
    const auto [begin, count] = own_.cleared[i];
    const Tensor& wide = own_.wide();
    return {wide.mutable_data_ptr<float>() + begin, (count + 3) / 4 * 4, wide.stride(0)};
  }

  void step(Population& p) {
    const cuda::AnyOrder order(!p.states.front().config.train.deterministic);
    const int64_t n = p.trained.stride;
    const std::byte* input = static_cast<const std::byte*>(input_.const_data_ptr());
    const cuda::Turns turns{.turn = reinterpret_cast<unsigned*>(turns_.mutable_data_ptr<int>()),
                            .slots = ring,
                            .stride = input_bytes_};
    const double scale = 1.0 / static_cast<double>(sequences_ * context_);
    for (int64_t begin = 0; begin < sequences_; begin += micro_) {
      const bool first = begin == 0;
      cuda::split_windows(members_, sequences_, context_, begin, micro_, turns,
                          reinterpret_cast<const int32_t*>(input),
                          tokens_.mutable_data_ptr<int64_t>(), targets_.mutable_data_ptr<int64_t>(),
                          first ? cleared(0) : cuda::ClearedRun(), cuda::stream());
      std::optional<cuda::BlankGradients> blank;
      if (first && !own_.blank.empty()) {
        blank.emplace(own_.blank);
        for (size_t i = 1; i < own_.cleared.size(); ++i)
          own_.wide().narrow(1, own_.cleared[i].first, own_.cleared[i].second).zero_();
      }
      const Tensor losses = token_losses(p.decoder, own_.bound, tokens_, targets_, ropes_, scale);
      const Tensor values = losses.detach();
      cuda::beside({values}, losses_, [&] {
        const at::NoGradGuard off;
        losses_.narrow(1, begin, micro_).copy_(values);
      });
      losses.backward(values);  // the loss's own gradient lies in `scale`
      if (blank) blank->clear_rest();
      if (company_) company_->join();
    }
    const Span span("rung::optimizer");
    const at::NoGradGuard off;
    mask_gradients(p, own_);
    cuda::finish_step(
        {.members = members_,
         .size = n,
         .rows = sequences_ * context_,
         .gradient = cuda::gradients_of(own_.gradient, own_.two_buffers()),
         .losses = losses_.const_data_ptr<float>(),
         .turns = turns,
         .control = reinterpret_cast<const float*>(input + control_at_),
         .partial = shares_.mutable_data_ptr<double>(),
         .ended = reinterpret_cast<unsigned*>(ended_.mutable_data_ptr<int>()),
         .alive = alive_.mutable_data_ptr<int>(),
         .hyper = hyper_.mutable_data_ptr<float>(),
         .result = results_,
         .keys = keys_.defined() ? reinterpret_cast<uint64_t*>(keys_.mutable_data_ptr<int64_t>())
                                 : nullptr},
        cuda::stream());
    if (p.optimizer->captured) move(p);
  }

  void move(Population& p) {
    const at::NoGradGuard off;
    const auto moving = [&](const Tensor& t) { return t.narrow(1, 0, p.trained.stride); };
    p.optimizer->step({p.trained, moving(p.weights), own_.gradient, p.optimizer_state, hyper_,
                       own_.slots, alive_, half_ ? moving(own_.compute) : Tensor(), keys_,
                       own_.codes, own_.two_buffers()});
  }

  cuda::OwnStream own_stream_;
  cuda::OwnStream own_copies_;
  c10::cuda::CUDAStream stream_, copies_;
  std::optional<cuda::Company> company_;
  bool half_;
  int64_t members_ = 0, sequences_ = 0, context_ = 0, micro_ = 0;
  int64_t control_at_ = 0, input_bytes_ = 0;  // of a slot's input: windows, then control rows
  std::array<Slot, ring> slots_;
  float* results_ = nullptr;             // [ring, members, result_count] of the host
  int64_t started_ = 0, collected_ = 0;  // steps
  std::vector<const void*> buffers_;     // that the graph was captured on
  int64_t version_ = -1;
  Tensor input_, tokens_, targets_, losses_, hyper_, alive_, keys_, turns_, shares_, ended_;
  CudaWeights own_;
  Ropes ropes_;
  std::optional<at::cuda::CUDAGraph> graph_;
};

}  // namespace

void Population::Engine::require_cuda() {
  if (c10::cuda::device_count() == 0)
    fail("[device] No CUDA device was found. Check the driver, or use --device cpu.");
}

std::unique_ptr<Population::Engine> Population::Engine::make_cuda(const Population& population) {
  require_cuda();
  return std::make_unique<CudaEngine>(population);
}
#endif

}  // namespace rung
