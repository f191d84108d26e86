// A parametrisation is a pure function from a tensor's role and shape to its factors (Everett et
// al. 2024): forward = A W x, W ~ N(0, B^2), Adam learning rate = lr C. Sources and tables:
// docs/transfer.md.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "scaling/tensors.h"

namespace rung {

// What an optimizer's step is proportional to, on which the LR exponents depend: adam, nothing (the
// update has a fixed size; Adam, Adam-atan2, Lion); sgd, the gradient; parameter_scaled, the RMS of
// the weight (Adafactor, Adam with parameter scaling); matrix, adam outside hidden matrices, whose
// updates have a fixed spectral norm (Muon, Shampoo).
enum class Update { adam, sgd, parameter_scaled, matrix };
Update update_of(std::string_view optimizer);  // fails (usage) where none is known

// independent: decay C-free, as train.weight_decay says. coupled: times lr C, as in PyTorch's
// AdamW. width: independent, hidden matrices / m. timescale: train.weight_decay is the length of
// the run over the averaging time of the weights (Wang & Aitchison 2024, arXiv 2405.13698).
enum class DecayRule { independent, coupled, width, timescale };
DecayRule decay_rule_of(std::string_view name);  // fails (usage)

// How the run reads every rule's factors.
struct Conventions {
  Update update = Update::adam;
  DecayRule decay = DecayRule::independent;
  bool constant_epsilon = false;  // instead of epsilon that follows the gradient's scale
  // Tuned constants on the LR by role, gamma of Everett et al.: embeddings, gains and biases;
  // matrices of blocks; the readout.
  double lr_embedding = 1.0, lr_hidden = 1.0, lr_readout = 1.0;
};

// What the rules may depend on besides the tensor itself.
struct Dims {
  int64_t width = 0, base_width = 0;
  int64_t depth = 0, base_depth = 0;  // blocks on the way to the next token
  int64_t vocabulary = 0, context = 0;
  int64_t head_dim = 0, base_head_dim = 0;
  int64_t batch_tokens = 0, tokens = 0;
  int64_t base_batch_tokens = 0, base_tokens = 0;
  double density = 1.0;  // share of each hidden matrix that is not fixed at zero
  std::string constraint = "to_output_scale";  // of unit-scaled ops (scaling/constraint.h)
  Conventions conventions;
};
// The configuration's dimensions with defaults resolved (head_dim 0: width / 4, at the base shape
// too).
Dims dims_of(const RunConfig& config, int64_t vocabulary);

// Complete factors of one tensor at one shape. A belongs to the use: a tied matrix has B and C of
// an embedding, A of a readout; its use as an embedding has A = A_weight = 1.
struct Factors {
  double A = 1.0;         // forward multiplier of the tensor's use
  double A_input = 1.0;   // multiplier in the gradient with respect to the use's input
  double A_weight = 1.0;  // multiplier in the gradient with respect to the weight
  double B = 1.0;  // standard deviation at initialisation; 0 for gains (all 1) and biases (all 0)
  double C = 1.0;  // learning-rate factor
  double decay = 1.0;    // factor on train.weight_decay
  double epsilon = 1.0;  // factor on train.epsilon
};

// Multipliers of the operations without weights. A factor pair is (forward, gradient with respect
// to the input).
struct OpFactor {
  double forward = 1.0, backward = 1.0;
};
struct ResidualFactor {
  double skip = 1.0, branch = 1.0;
  // Unit scaling: the branch's backward factor is applied where it was split off.
  bool delayed = false;
};
// Of an ffn: on the output of its activation, on a weighted sum over some of many experts, and on
// the sum of that and the shared expert.
struct FfnFactor {
  OpFactor activation;
  double mixture = 1.0, sum = 1.0;
};
struct BlockFactors {
  double attention_logit = 1.0;  // multiplies q.k
  OpFactor attention_output;     // multiplies softmax(..) v
  double ffn_slope = 1.0;        // m in x g sigmoid(m g), gelu(m x) / m, ...
  std::vector<FfnFactor> ffn;    // by layer; empty: 1
  double embedding = 1.0;        // multiplies the embedding's output
  double loss_logit = 1.0;       // multiplies logits before the softmax
  double loss_gradient = 1.0;    // multiplies the gradient of the loss, a mean over batch_tokens
  double beta = 1.0;             // multiplies 1 - beta1 and 1 - beta2
  std::vector<ResidualFactor> residual;  // 2 per block: mixer, ffn
};

// What a rule promises of a growing model while it trains, as exponents of RMS values: outputs and
// their changes keep their size (exponent 0) but for what stands here. A rule that promises nothing
// of an axis has `false` there. Width exponents hold where the alignment is full.
struct ExponentRange {
  double lo = 0.0, hi = 0.0;
};
struct Promise {
  bool width = false, depth = false;
  ExponentRange logits;         // the readout's output before training, over width
  double scores = 0.0;          // attention's logit q.k before training, over head_dim
  double embedding_step = 0.0;  // what an embedding's own change adds to its output, over width
  double block_step = 0.0;      // what a block tensor's own change adds to its output, over depth
  bool full_by_default = true;  // the alignment that an empty `alignment` means
};

// A rule and its two halves: alignment is full, none, global, or empty for the rule's default.
// `factors` gives what the rule prescribes for the optimizer of dims.conventions and independent
// decay.
struct Parametrisation {
  std::string_view name, summary;
  Factors (*factors)(const TensorSpec&, const Dims&, std::string_view alignment);
  BlockFactors (*block)(const RunConfig&, const Dims&);
  // What the rule asks for and the decoder cannot do, such that it has factors but must not train;
  // empty: nothing. May be null.
  std::string (*unmet)(const RunConfig&) = nullptr;
  Promise promise = {};
};

std::span<const Parametrisation> parametrisations();
// Fails (usage), naming the nearest.
const Parametrisation& find_parametrisation(std::string_view name);

// The rule's factors with the run's conventions applied: what the arena is laid out from.
Factors complete_factors(const Parametrisation& rule, const TensorSpec& tensor, const Dims& dims,
                         std::string_view alignment);
// The rule's promise under the run's alignment, optimizer and shape.
Promise promise_of(const RunConfig& config);
// Refuses (status 3) to train what the decoder cannot do: what the rule asks for, sparse matrices
// under a rule without factors for them.
void refuse_unmet(const RunConfig& config);
// train.weight_decay as the decay of one step at the schedule's peak, before a tensor's factor.
double peak_decay(const TrainConfig& train);

// The same training in another form (abc-symmetry, Yang & Hu 2021; Everett et al. 2024): for any t
// > 0, A t, B / t, and C / t (adam), C / t^2 (sgd), C (parameter_scaled); the gradients and epsilon
// follow A. Not for tied matrices, whose use as an embedding has A = 1, nor for gains and biases,
// which do not start at N(0, B^2).
Factors shifted(const Factors& factors, double t, Update update = Update::adam);
// Whether some t turns one into the other (A, B and C; relative tolerance).
bool equivalent(const Factors& a, const Factors& b, double tolerance = 1e-9,
                Update update = Update::adam);

}  // namespace rung
