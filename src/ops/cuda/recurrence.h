// Linear recurrences with one decay a head and step, in chunks of matrix products:
//   S_t = f_t S_{t-1} + i_t k_t v_t^T,  y_t = S_t^T q_t
// SSD (section 6 of Dao & Gu 2024, arXiv 2405.21060) has f = exp(dt a) and i = dt; mLSTM (Beck et
// al. 2024, arXiv 2405.04517) has f = sigmoid(forget) and i = exp(input), keeps everything times
// exp(-m) so that nothing overflows, and divides y by a normaliser, the same recurrence of v = 1.
//
// With sums L of log f from a chunk's start, both are, in a chunk that starts with state S,
//   y_t = sum over j <= t of 2^(from_j - to_t) (q_t k_j) v_j + 2^(start - to_t) S^T q_t
//   next S = sum over j of 2^(from_j - end) k_j v_j^T + 2^(start - end) S
// where from_j = log i_j - L_j, end is the chunk's last `to`, and to_t = -L_t, start = 0 (SSD), or
// to_t = m_t - L_t = max(start, from_j up to t), start = m before the chunk (mLSTM).
// SSD adds skip v_t to y_t.
// bf16 inputs; gates, sums and accumulators fp32; states between chunks are rounded where products
// read them.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

constexpr int64_t recurrence_chunk = 64;
constexpr int64_t longest_recurrence = 4096 * recurrence_chunk;

struct RecurrenceShape {
  int64_t members, batch, time, heads, groups, keys, values;
  bool normalised;          // mLSTM
  int64_t gate_stride = 0;  // elements between steps of gates; 0: they are packed
  // On q k of mLSTM, positive. It is taken into the input gates, which read the same by both.
  double factor = 1.0;
  int64_t sequences() const { return members * batch; }
  int64_t lines() const { return sequences() * heads; }
  int64_t chunks() const { return (time + recurrence_chunk - 1) / recurrence_chunk; }
  int64_t steps() const { return chunks() * recurrence_chunk; }
  // Sizes as the kernels pad them with zeros.
  int64_t wide_keys() const { return keys <= 64 ? 64 : 128; }
  int64_t wide_values() const { return values <= 32 ? 32 : values <= 64 ? 64 : 128; }
  // Heads of a group that a block takes one after the other, and blocks that share a group.
  int64_t each() const;
  int64_t splits() const { return heads / groups / each(); }
};

constexpr bool fits_recurrence(int64_t time, int64_t keys, int64_t values) {
  return time <= longest_recurrence && keys % 8 == 0 && values % 8 == 0 && keys <= 128 &&
         values <= 128;
}

// Rows [sequences, time, count, size] of bf16, `stride` elements between steps (a multiple of 8);
// rows of a step lie side by side.
struct StepRows {
  const void* data;
  int64_t stride;
};

// fp32; lines are sequences x heads, steps are padded to whole chunks.
struct RecurrenceGates {
  float *from, *to;  // [lines, steps]
  float* ends;       // [lines, chunks, 2]: start and end
  float* floor;      // mLSTM: [lines, steps], of the denominator
};
// SSD: dt [sequences, time, heads], a [members, heads]. mLSTM: input and forget [sequences, time,
// heads], m [lines] receives the last m, or is null.
void ssd_gates(const RecurrenceShape& shape, const float* dt, const float* a,
               const RecurrenceGates& gates, Stream stream);
void mlstm_gates(const RecurrenceShape& shape, const float* input, const float* forget,
                 const RecurrenceGates& gates, float* m, Stream stream);

// States before each chunk, or their gradients behind it: [lines, chunks, wide_keys, wide_values]
// bf16 and normalisers [lines, chunks, wide_keys] fp32 (mLSTM).
struct RecurrenceStates {
  void* states;
  float* norms;
};
// `last` [lines, keys, values (+ 1: the normaliser)] receives the state after the last step;
// null: it is not wanted.
void recurrence_states(const RecurrenceShape& shape, StepRows k, StepRows v,
                       const RecurrenceGates& gates, const RecurrenceStates& to, float* last,
                       Stream stream);

// y [sequences, time, heads, values]; skip [members, heads] may be null. mLSTM: where `to_gradient`
// [lines, steps] is not null it receives `to` + log2 of the denominator, which is the `to` of y's
// gradient, and the floor becomes the denominator's sign, or 0 where the floor was in charge.
void recurrence_outputs(const RecurrenceShape& shape, StepRows q, StepRows k, StepRows v,
                        const RecurrenceGates& gates, const RecurrenceStates& states,
                        const float* skip, float* to_gradient, void* y, Stream stream);

// mLSTM: the denominator's gradient, relative to that of y: delta [lines, steps] = -sign <dy, y>.
void recurrence_delta(const RecurrenceShape& shape, const float* sign, const void* y,
                      const void* dy, float* delta, Stream stream);

// From here on gates.to is that of the gradient, delta is mLSTM's (null for SSD), and dy is packed.
void recurrence_state_gradients(const RecurrenceShape& shape, StepRows q, const void* dy,
                                const RecurrenceGates& gates, const float* delta,
                                const RecurrenceStates& to, Stream stream);

struct RecurrenceGradient {
  StepRows q, k, v;
  const void* dy;
  RecurrenceGates gates;
  const float* delta;
  RecurrenceStates states, gradients;
  const float *first, *second, *skip;  // dt and a, or input and forget
  void *dq, *dk;  // [sequences, time, groups, splits, keys], to be summed over splits
  void* dv;       // [sequences, time, heads, values]
  int64_t dq_stride, dk_stride, dv_stride;  // elements between steps
  // As the gates lie; of a [sequences, chunks, heads], to be summed.
  float *dfirst, *dsecond;
  float* dskip;  // [sequences, chunks, heads], to be summed
};
void recurrence_gradients(const RecurrenceShape& shape, const RecurrenceGradient& gradient,
                          Stream stream);

}  // namespace rung::cuda
