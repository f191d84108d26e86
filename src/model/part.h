// What a part is (a mixer or an ffn): tensors, cost and forward pass. A new part is one source
// file, one test and one line in a table.
#pragma once
#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "model/tally.h"
#include "ops/attention.h"
#include "ops/norm.h"
#include "ops/weight.h"
#include "scaling/parametrisation.h"

namespace rung {

// What a mixer keeps of the tokens so far (keys and values, or a state): its own tensors, none
// before the first token.
using MixerState = std::vector<at::Tensor>;

// What a part may need besides its weights and input.
struct Pass {
  const ModelConfig& model;
  const BlockFactors& block;
  const Rope& rope;  // of the positions of x
  int layer = 0;
  int64_t window = 0;           // tokens that attention sees, itself included; 0: all
  MixerState* state = nullptr;  // x goes on where it ends, and it is advanced; null: x is all
  std::span<const Weight> shared = {};  // of describe_shared
  // The gradient of an auxiliary loss that is a mean over x's tokens; 0: none is wanted.
  double loss_factor = 0.0;
  Tally* tally = nullptr;  // asks for statistics of what the part did
  at::Tensor mapped = {};  // first_map's product, where the step before from_stream took it along
};

// The stream and a branch of it; where `map` is defined, the branch is still to be multiplied by
// it.
struct Branched {
  at::Tensor stream, branch;
  Weight map = {};
};

struct Part {
  std::string_view name, summary;
  // Tensors of one layer, in the order in which forward reads them; names are relative to the
  // layer.
  std::vector<TensorSpec> (*describe)(const ModelConfig&);
  // Forward FLOPs per sequence of `time` tokens beyond the matrices of describe (multiply-add = 2).
  double (*extra_flops)(const ModelConfig&, int64_t time);
  // x [P, B, T, D] (normalised) -> [P, B, T, D]; null where the branch is not there.
  at::Tensor (*forward)(std::span<const Weight>, const at::Tensor& x, const Pass&);
  void (*check)(const ModelConfig&) = nullptr;  // fails (usage) on impossible shapes
  bool recurrent = false;  // its state has one size however many tokens it has seen
  bool ternary = false;    // linear() alone reads its hidden matrices: ternary, or in formats
  bool sub_norm = false;   // has the norm of model.sub_norm, or nothing to norm
  // Takes the last `count` tokens out of a state that lists its tokens; false where it does not
  // (count 0 asks).
  bool (*forget)(const ModelConfig&, int64_t window, MixerState&, int64_t count) = nullptr;
  // Tensors that all layers of this part have in common; Pass::shared brings them.
  std::vector<TensorSpec> (*describe_shared)(const ModelConfig&) = nullptr;
  // The residual stream's step through the branch, its norm (without gain or bias) and additions
  // included, where there is one op for these tensors; undefined elsewhere. x and f [P, B, T, D].
  Stepped (*step)(std::span<const Weight>, const at::Tensor& x, const at::Tensor& f,
                  const ResidualStep& step, const Pass&) = nullptr;
  // {x, branch} from the stream itself, its norm (without gain or bias) included, where the part
  // can read it cheaper so; undefined elsewhere.
  Branched (*from_stream)(std::span<const Weight>, const at::Tensor& x, const NormOptions&,
                          const Pass&) = nullptr;
  // The map that from_stream multiplies the stream's norm by first, so that a step before it may.
  Weight (*first_map)(std::span<const Weight>) = nullptr;
  bool skip = true;  // the stream goes around it as well
  // Heads that a GPU has kernels for: their most units, and of what these are a multiple.
  int64_t largest_head = 256, head_multiple = 8;
  bool inner_heads = false;  // its heads divide the inner units, model.ssm_expand times the width
};

std::span<const Part> mixers();
std::span<const Part> ffns();
// Fails (usage), naming the nearest of the table.
const Part& find_part(std::span<const Part> table, std::string_view kind, std::string_view name);

int64_t head_dim_of(const ModelConfig& model);
int64_t heads_of(const ModelConfig& model);
int64_t kv_heads_of(const ModelConfig& model);
int64_t ffn_width_of(const ModelConfig& model);

// A matrix [out, in] of a block.
TensorSpec hidden_matrix(std::string name, int64_t out, int64_t in);
// x as an output map with model.sub_norm reads it; else x. The gain may be undefined.
at::Tensor sub_normed(const at::Tensor& x, const Weight& gain, const ModelConfig& model);
// Whether it has a gain, a tensor of its part.
bool has_sub_gain(const ModelConfig& model);
// A gain or a bias.
TensorSpec vector_of(Role role, std::string name, int64_t size);

}  // namespace rung
