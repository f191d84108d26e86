// y = A x W^T with the gradient of W written straight into the arena.
#pragma once
#include <optional>
#include <span>

#include "ops/weight.h"

namespace rung {

// Ternary weights go through ternary_linear (ops/ternary.h), those in formats through
// quantised_linear.
// x [P, B, T, in], weight [P, out, in] -> [P, B, T, out]. Gradients: dx = A_input dy W, dW +=
// A_weight dy^T x.
at::Tensor linear(const at::Tensor& x, const Weight& weight);

// linear of one x with each weight; the gradients of x are summed by the products themselves.
std::vector<at::Tensor> linears(const at::Tensor& x, const std::vector<Weight>& weights);

// Dense matrices of one input as one, where they lie one behind the other in the arena with the
// same factors, and nothing listens to them.
std::optional<Weight> stacked(std::span<const Weight> weights);

// Rows `begin` to begin + count of a dense matrix that nothing listens to, as a weight of its own.
Weight cut_rows(const Weight& weight, int64_t begin, int64_t count);

// y plus a bias [P, out] in the last axis.
at::Tensor add_bias(const at::Tensor& y, const Weight& bias);

// Rows of `table` [P, V, D] at `tokens` [P, B, T] (int64) times A -> [P, B, T, D]; starts the
// recorded graph.
at::Tensor embedding(const at::Tensor& tokens, const Weight& table);

// weight.gradient += A_weight factor dy^T x of dy [P, rows, out] and x [P, rows, in]; nothing where
// it is frozen. On a GPU it may run beside what follows.
void add_weight_gradient(const Weight& weight, const at::Tensor& dy, const at::Tensor& x,
                         double factor = 1.0);

// Whether the next product that adds to a map's gradient is to write over it instead
// (ops/cuda/blank.h); true once in a step at most.
bool writes_over(const at::Tensor& gradient);

// out = alpha a b (+ out when `accumulate`), batched over P; a [P, m, k], b [P, k, n], out [P, m,
// n] contiguous. Inputs in bf16 may write an fp32 `out`.
void matmul_into(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, double alpha,
                 bool accumulate);

}  // namespace rung
