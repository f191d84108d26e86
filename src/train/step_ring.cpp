#ifdef RUNG_CUDA
#include "train/step_ring.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "ops/cuda/kernels.h"
#include "train/engine.h"

namespace rung {

void check_cuda(cudaError_t error) {
  if (error != cudaSuccess) fail("[cuda] {}.", cudaGetErrorString(error));
}

StepRing::StepRing(const StepShape& shape) : shape_(shape) {
  const int64_t window_bytes =
      shape.members * shape.sequences * (shape.context + 1) * static_cast<int64_t>(sizeof(int32_t));
  control_at_ = (window_bytes + 255) / 256 * 256;
  input_bytes_ =
      control_at_ + shape.members * cuda::control_count * static_cast<int64_t>(sizeof(float));
  check_cuda(cudaMallocHost(reinterpret_cast<void**>(&results_),
                            slots * shape.members * cuda::result_count * sizeof(float)));
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    check_cuda(cudaMallocHost(reinterpret_cast<void**>(&slot.input), input_bytes_));
    slot.result = results_ + static_cast<int64_t>(i) * shape.members * cuda::result_count;
    for (cudaEvent_t* event : {&slot.arrived, &slot.done})
      check_cuda(cudaEventCreateWithFlags(event, cudaEventDisableTiming));
  }
}

StepRing::~StepRing() {
  cudaStreamSynchronize(copies_.get().stream());
  for (Slot& slot : slots_) {
    cudaEventDestroy(slot.arrived);
    cudaEventDestroy(slot.done);
    cudaFreeHost(slot.input);
  }
  cudaFreeHost(results_);
}

void StepRing::make_room(Population& p) {
  while (started_ - collected_ >= slots) collect(p, true);
  while (collected_ < started_ && collect(p, false)) {
  }
}

void StepRing::collect_all(Population& p) {
  while (collected_ < started_) collect(p, true);
}

void StepRing::send(const Population& p, std::byte* device, c10::cuda::CUDAStream stream) {
  const Slot& next = slots_[static_cast<size_t>(slot())];
  fill(p, next);
  const cudaStream_t copies = copies_.get().stream();
  check_cuda(cudaMemcpyAsync(device + slot() * input_bytes_, next.input, input_bytes_,
                             cudaMemcpyHostToDevice, copies));
  check_cuda(cudaEventRecord(next.arrived, copies));
  check_cuda(cudaStreamWaitEvent(stream.stream(), next.arrived));
}

void StepRing::close(c10::cuda::CUDAStream stream) {
  check_cuda(cudaEventRecord(slots_[static_cast<size_t>(slot())].done, stream.stream()));
  ++started_;
}

bool StepRing::collect(Population& p, bool wait) {
  const Slot& slot = slots_[static_cast<size_t>(collected_ % slots)];
  if (wait) {
    check_cuda(cudaEventSynchronize(slot.done));
  } else {
    const cudaError_t state = cudaEventQuery(slot.done);
    if (state == cudaErrorNotReady) return false;
    check_cuda(state);
  }
  for (int64_t m = 0; m < shape_.members; ++m) {
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

void StepRing::fill(const Population& p, const Slot& slot) const {
  using Engine = Population::Engine;
  constexpr int64_t task_tokens = 16'384;  // less is not worth waking a worker for
  const int64_t sequences = shape_.sequences, context = shape_.context;
  int32_t* windows = reinterpret_cast<int32_t*>(slot.input);
  const int64_t each = std::max<int64_t>(1, task_tokens / context);
  const int64_t total = shape_.members * sequences, tasks = (total + each - 1) / each;
  const auto read = [&](int64_t task) {
    for (int64_t i = task * each; i < std::min(total, (task + 1) * each); ++i)
      Engine::source(p).read(
          Engine::window(p, i / sequences, i % sequences),
          std::span(windows + i * (context + 1), static_cast<size_t>(context + 1)));
  };
  if (tasks == 1)
    read(0);
  else
    Engine::machine(p).pool->run(tasks, read);
  float* control = reinterpret_cast<float*>(slot.input + control_at_);
  const bool draws = Engine::rounds_by_draws(p);
  for (int64_t m = 0; m < shape_.members; ++m) {
    const MemberState& state = p.states[static_cast<size_t>(m)];
    float* row = control + m * cuda::control_count;
    const auto numbers = Engine::hyper(p, m);
    std::copy(numbers.begin(), numbers.end(), row);
    row[cuda::control_clip] = static_cast<float>(state.config.train.clip);
    row[cuda::control_running] = state.status == MemberStatus::running ? 1.0f : 0.0f;
    const uint64_t key = draws ? Engine::draw_key(p, m) : 0;
    std::memcpy(row + cuda::control_key, &key, sizeof key);
  }
}

}  // namespace rung
#endif
