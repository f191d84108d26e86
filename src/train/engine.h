// How a population's steps are executed on one kind of device.
#pragma once
#include "train/population.h"

namespace rung {

struct Population::Engine {
  virtual ~Engine() = default;
  // Gradients and update of every running member for the population's next step.
  virtual void advance(Population& population) = 0;
  // Waits for the device: weights, optimizer state and members' losses are then up to date.
  virtual void sync(Population&) {}
  // Losses [windows, context] per member, as sums by document.
  virtual std::vector<Evaluation> evaluate(Population& population, const HeldOut& held_out) = 0;

  // Access for engines, which are not Population itself.
  static const TokenSource& source(const Population& p) { return *p.source_; }
  static const Machine& machine(const Population& p) { return p.machine_; }
  static std::array<double, hyper_count> hyper(const Population& p, int64_t member) {
    return p.hyper(member);
  }
  // Whether moments are rounded by draws, and what names a member's in the coming step.
  static bool rounds_by_draws(const Population& p) { return p.rounds_by_draws(); }
  static uint64_t draw_key(const Population& p, int64_t member) { return p.draw_key(member); }
  // Data position of sequence `i` of the coming step.
  static int64_t window(const Population& p, int64_t member, int64_t i);
  // The factor that clips a gradient of this norm; 1 when clipping is off.
  static double clip_scale(const MemberState& state, double norm);

  static std::unique_ptr<Engine> make_cpu(const Population& population);
  static std::unique_ptr<Engine> make_cuda(const Population& population);
  // Fails with one line in a build without CUDA or on a host without a GPU.
  static void require_cuda();
};

// Per-document means, their token-weighted total and its clustered standard error, from losses by
// target token.
Evaluation summarise(const HeldOut& held_out, const std::vector<double>& document_sum);

}  // namespace rung
