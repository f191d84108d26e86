// Sums over every step of a schedule, compressed: sum_{k=1..t} (lr_{k-1} - lr_k) f(lr_k, S_k(t))
// with S_k(t) = sum_{k..t} lr, for smooth f, as a weighted sum of a few dozen terms instead of t.
//
// Steps without a change of rate drop out. The others stand in a tree of blocks, split at the
// schedule's knots and then in halves. A block's steps are replaced by Chebyshev nodes (in k, or in
// ln k for a warm-up from 0) whose weights integrate every polynomial of lower degree exactly
// against the block's own rate changes. A block is used where ln lr is that smooth inside it and
// where it lies at least its own length before t (f bends only near S_k = 0).
#pragma once
#include <cstddef>
#include <vector>

#include "law/annealing_sum.h"
#include "law/schedule.h"

namespace rung {

// Terms as columns.
struct SumLists {
  std::vector<double> weight{};  // replaces lr_{k-1} - lr_k
  std::vector<double> log_lr{};
  std::vector<double> sum{};  // S_k(t)

  size_t size() const { return weight.size(); }
  void clear() { weight.clear(), log_lr.clear(), sum.clear(); }
  SumTerms view(size_t first, size_t count) const {
    return {weight.data() + first, log_lr.data() + first, sum.data() + first, count};
  }
};

class ScheduleSum {
 public:
  explicit ScheduleSum(const RateSchedule& schedule);

  size_t last_step() const { return lr_.size() - 1; }
  double sum(size_t step) const { return total_[step]; }  // S1: lr of steps 0 .. step
  bool has_fallen(size_t step) const { return lr_[step] < 0.99 * highest_[step]; }
  void append_terms(size_t step, SumLists& terms) const;

 private:
  struct Node {
    double weight = 0.0;
    size_t step = 0;
  };
  struct Block {
    size_t first = 0, last = 0;  // steps, both included
    bool changes = false, smooth = false;
    std::vector<Node> nodes{};
    int left = -1, right = -1;  // halves; none for a leaf
  };

  double change(size_t step) const { return lr_[step - 1] - lr_[step]; }
  int build(size_t first, size_t last, const std::vector<size_t>& knots);
  bool replace_by_nodes(Block& block, bool logarithmic) const;
  void visit(int block, size_t step, SumLists& terms) const;
  void push(size_t node, double weight, size_t step, SumLists& terms) const;

  std::vector<double> lr_, log_lr_, total_, highest_;  // highest_: up to a step
  std::vector<Block> blocks_;
  int root_ = -1;
};

}  // namespace rung
