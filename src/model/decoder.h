// A decoder from the tables of parts: embedding, blocks of mixer and ffn with a norm before or
// after each branch, final norm, readout.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "model/part.h"
#include "ops/arena.h"

namespace rung {

// Tensors of a norm; 0: absent.
struct NormTensors {
  size_t gain = 0, bias = 0;
  bool there = true;  // false: what it would normalise is passed on
};

// Some of a decoder's branches, of which the list says which they are.
struct BranchRange {
  size_t begin = 0, end = 0;
};

struct Decoder {
  ModelConfig model;
  int64_t vocabulary = 0;
  Layout layout;
  BlockFactors block;
  std::vector<const Part*> mixers, ffns;       // by layer
  std::vector<int64_t> windows;                // of attention, by layer; 0: all tokens before
  std::vector<size_t> mixer_start, ffn_start;  // first tensor of each
  // Of each layer's mixer: what its layers have in common; 0: none.
  std::vector<size_t> shared_start;
  std::vector<size_t> ffn_gain;  // learned scalar on the branch; 0: none
  // The branches that are there, in order: 2 x layer for a mixer, 2 x layer + 1 for an ffn.
  std::vector<size_t> branches;
  BranchRange path;  // of them: the way to the next token
  // Multi-token prediction: where the last block of the path begins, at which the branches of every
  // further head read the stream too.
  size_t fork = 0;
  std::vector<BranchRange> heads;
  // Before (or after) each of these branches and at the end; post_norms: behind branches that have
  // one on either side.
  std::vector<NormTensors> norms, post_norms;
  size_t readout = 0;     // tensor that the head multiplies by
  size_t positions = 0;   // learned positions [context, width]; 0: none
  int64_t recompute = 0;  // of so many blocks one keeps no activations in training; 0: all keep
};

// What generation carries from one call to the next: a state a layer, and how many tokens it has
// seen.
struct Cache {
  std::vector<MixerState> layers;
  int64_t time = 0;
  // How many tokens at the end of the next pass rewind() may take back, and what it needs for that:
  // of layers whose states do not list their tokens, the states before and after each of them.
  int64_t revertible = 0;
  std::vector<std::vector<MixerState>> steps;
};
// Takes the last `count` tokens of the last pass back.
void rewind(const Decoder& decoder, Cache& cache, int64_t count);

// Rotations of the layers that see all tokens before, and of those with a window.
struct Ropes {
  Rope global, local;
};
// Of positions start to start + time; without rotation where model.position is another.
Ropes make_ropes(const ModelConfig& model, int64_t time, const at::TensorOptions& options,
                 int64_t start = 0);
const Rope& rope_of(const Decoder& decoder, const Ropes& ropes, size_t layer);

// Tensors, factors and parts of one shape. Fails (usage) on impossible shapes.
Decoder make_decoder(const RunConfig& config, int64_t vocabulary);

// The same shape with another member's multipliers.
BlockFactors block_factors(const RunConfig& config, int64_t vocabulary);

// Forward FLOPs of one sequence of `time` tokens as in training: every linear map (the readout once
// for each head, where its target lies within) and the mixers' own work.
double forward_flops(const Decoder& decoder, int64_t time);

// With the backward pass, which takes as much again for the gradients of what maps read and of
// their weights, but for those of frozen weights.
double training_flops(const Decoder& decoder, int64_t time);

// Whether every layer's state has one size, and no position ends, so that generation may go on
// beyond the context.
bool is_recurrent(const Decoder& decoder);

// The residual stream before each branch of Decoder::branches, and behind the path's last.
using StreamTaps = std::vector<Tap>;

// Hidden states after the final norm. tokens [P, B, T] int64 -> [P, B, T, D]. With a cache the
// tokens follow those that it has seen, `ropes` are of their positions, and it is advanced.
// `stream`, where given, receives the residual stream before that norm.
at::Tensor hidden_states(const Decoder& decoder, std::span<const Weight> weights,
                         const at::Tensor& tokens, const Ropes& ropes, Cache* cache = nullptr,
                         at::Tensor* stream = nullptr);

// Losses in nats [P, B, T]. Backward accumulates gradients of sum(losses) * gradient_scale, times
// the parametrisation's own gradient factor, and of parts' auxiliary losses, which are not
// reported, as if each were added to the mean of the losses. Parts report to `tally`, and `stream`
// must live as long as the backward pass.
at::Tensor token_losses(const Decoder& decoder, std::span<const Weight> weights,
                        const at::Tensor& tokens, const at::Tensor& targets, const Ropes& ropes,
                        double gradient_scale, Tally* tally = nullptr,
                        StreamTaps* stream = nullptr);

// Logits [P, B, T, V] as the loss sees them, without recording.
at::Tensor token_logits(const Decoder& decoder, std::span<const Weight> weights,
                        const at::Tensor& tokens, const Ropes& ropes, Cache* cache = nullptr);

}  // namespace rung
