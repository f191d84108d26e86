// What the host and a step on a GPU hand each other: inputs (token windows and hyperparameters) and
// results (loss, norm, alive) pass through a ring of pinned buffers, so that the host never waits
// for the step it starts, nor the device for copies: inputs come on a stream of their own, results
// are written to the host's memory.
#pragma once
#include <c10/cuda/CUDAStream.h>
#include <driver_types.h>

#include <array>

#include "ops/cuda/own_stream.h"
#include "train/population.h"

namespace rung {

// Fails with the runtime's words.
void check_cuda(cudaError_t error);

// What a step of a population computes: micro sequences of every member at a time.
struct StepShape {
  int64_t members, sequences, context, micro;
};

class StepRing {
 public:
  static constexpr int64_t slots = 8;  // steps that may be under way

  explicit StepRing(const StepShape& shape);
  ~StepRing();  // waits for copies, not for steps
  StepRing(const StepRing&) = delete;
  StepRing& operator=(const StepRing&) = delete;

  // Takes what finished steps left in the members' states, and waits until a slot is free.
  void make_room(Population& population);
  // Waits for all steps and takes what they left.
  void collect_all(Population& population);
  // The coming step's input goes to `device` [slots, input_bytes()], and `stream` waits for it.
  void send(const Population& population, std::byte* device, c10::cuda::CUDAStream stream);
  // What is on `stream` by now is the step.
  void close(c10::cuda::CUDAStream stream);

  // Of the coming step.
  int64_t slot() const { return started_ % slots; }
  // A slot's input: windows [members, sequences, context + 1], then from control_at() on
  // [members, control_count].
  int64_t input_bytes() const { return input_bytes_; }
  int64_t control_at() const { return control_at_; }
  float* results() const { return results_; }  // [slots, members, result_count], on the host

 private:
  // Pinned memory that the device reads and writes, when the input is over there, and when the step
  // is done.
  struct Slot {
    std::byte* input = nullptr;
    const float* result = nullptr;
    cudaEvent_t arrived = nullptr, done = nullptr;
  };
  // The oldest step's results; false when it is still running and `wait` is not set.
  bool collect(Population& population, bool wait);
  void fill(const Population& population, const Slot& slot) const;

  StepShape shape_;
  cuda::OwnStream copies_;
  int64_t control_at_ = 0, input_bytes_ = 0;
  std::array<Slot, slots> slots_;
  float* results_ = nullptr;
  int64_t started_ = 0, collected_ = 0;  // steps
};

}  // namespace rung
