// Forward, backward, clip and optimizer of all members as one CUDA graph.
#pragma once
#include <ATen/cuda/CUDAGraph.h>

#include <mutex>
#include <optional>

#include "ops/cuda/company.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/tile_counters.h"
#include "train/cuda_weights.h"
#include "train/step_ring.h"

namespace rung {

// Populations may train in several threads of one process. Held while a step is captured, when
// nobody may wait for the device; while a captured step goes, as LibTorch drops what the generators
// of all captures share with the last one that it knows of; and while a trial reads what the
// allocator gave out.
std::mutex& setting_up();

// All of it is called with `stream` as the present one, and what sets up while setting_up() is
// held.
class CapturedStep {
 public:
  // `half`: passes compute in bf16.
  CapturedStep(const Population& population, const StepShape& shape, bool half,
               c10::cuda::CUDAStream stream);

  // Takes buffers and captures, once more where the population's own were exchanged. The device
  // must be idle.
  void capture(Population& population, const StepRing& ring);
  // What passes multiply by, from the masters; every member is alive again.
  void follow_weights(const Population& population);
  // The step whose input lies in the ring's coming slot of input().
  void replay(Population& population);
  // Lets the graph go.
  void reset() { graph_.reset(); }

  std::byte* input() const { return static_cast<std::byte*>(input_.mutable_data_ptr()); }
  const CudaWeights& weights() const { return weights_; }
  const Ropes& ropes() const { return ropes_; }

 private:
  void allocate(const Population& population, int64_t input_bytes);
  void meet_libraries() const;
  cuda::Turns turns() const;
  void step(Population& population, const StepRing& ring);
  void pass(const Population& population, int64_t begin);
  void finish(const Population& population, const StepRing& ring);
  void move(Population& population);

  StepShape shape_;
  bool half_;
  c10::cuda::CUDAStream stream_;
  cuda::Company company_;
  at::Tensor input_;                      // bytes [slots, input_bytes]
  at::Tensor turns_;                      // [P], counts steps
  at::Tensor tokens_, targets_, losses_;  // [P, micro, context], and [P, sequences, context]
  at::Tensor hyper_, alive_, keys_;       // as Optimizer::step takes them
  at::Tensor shares_, ended_;             // scratch of cuda::finish_step
  std::optional<cuda::TileCounters> counters_;
  CudaWeights weights_;
  Ropes ropes_;
  std::optional<at::cuda::CUDAGraph> graph_;
};

}  // namespace rung
