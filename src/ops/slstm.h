// The sLSTM cell (Beck et al. 2024, arXiv 2405.04517): a scalar memory a unit, exponential gates,
// and a recurrence through the outputs that leaves no parallel form.
#pragma once
#include <ATen/core/Tensor.h>

#include <utility>

namespace rung {

// What a cell of H heads of d units hands on, each [P, B, H, d]; fp32 where x is bf16.
struct SlstmState {
  at::Tensor y;        // the last outputs
  at::Tensor c, n, m;  // the memory and its normaliser, both times exp(-m)
};

// The slots i, f, z, o of a unit are x + R y_{t-1}, R within its head:
//   c_t = f c_{t-1} + i tanh(z), n_t = f n_{t-1} + i, y_t = sigmoid(o) c_t / n_t,
// where f is the sigmoid of its slot and i the exponential of its. x [P, B, T, H, 4, d] (bias
// included), recurrent [P, H * 4 * d, d], rows by head, slot and unit. `first`: before the first
// step; undefined tensors: nothing was seen. Returns {y [P, B, T, H, d], the last state}. On a GPU
// a kernel walks the steps of a fresh cell.
std::pair<at::Tensor, SlstmState> slstm(const at::Tensor& x, const at::Tensor& recurrent,
                                        const SlstmState& first);
// Plain twin.
std::pair<at::Tensor, SlstmState> slstm_plain(const at::Tensor& x, const at::Tensor& recurrent,
                                              const SlstmState& first);

}  // namespace rung
