// The resolved configuration of one run. Each field is visited once, with key, unit and help; the
// visitor serves TOML files, --set, JSON, config.toml, validation and docs/config.md alike.
#pragma once
#include <cstdint>
#include <string>

namespace rung {

struct DataConfig {
  std::string path =
      "default";  // text file, folder, .jsonl, compressed forms; "default" or "synthetic"
  std::string tokenizer = "bytes";  // bytes, bpe, unigram, or a path to tokenizer.model
  int64_t vocabulary = 1024;        // size for bpe and unigram
  double held_out = 0.02;           // share of the documents that is never trained on
  bool repeat = false;              // allow tokens to be seen more than once
};

struct ModelConfig {
  int64_t width = 64;
  int64_t depth = 4;
  int64_t head_dim = 0;  // 0: width / 4
  int64_t heads = 0;     // 0: width / head_dim
  int64_t kv_heads = 0;  // 0: as many as query heads
  int64_t context = 128;
  std::string mixer = "attention";
  std::string ffn = "swiglu";
  double ffn_ratio = 3.0;                  // hidden units of the ffn over width
  int64_t moe_experts = 8;                 // of the ffn moe
  double moe_ratio = 0.0;                  // hidden units of one over width; 0: ffn_ratio
  int64_t moe_top_k = 2;                   // experts a token
  std::string moe_gates = "chosen";        // softmax over the chosen logits, or over all
  int64_t moe_shared = 0;                  // experts that every token has besides
  double moe_balance = 0.01;               // of the balance loss, in training
  double moe_z = 0.001;                    // of the router's z-loss, in training
  int64_t peer_experts = 4096;             // one-neuron experts of the ffn peer, a square
  int64_t peer_heads = 8;                  // retrievals a token
  int64_t peer_top_k = 16;                 // experts a retrieval
  int64_t peer_key = 32;                   // units of a query, in two halves
  bool peer_norm = true;                   // LayerNorm on queries
  int64_t peer_shared = 0;                 // neurons that every token has besides
  std::string norm = "rmsnorm";            // rmsnorm or layernorm
  std::string norm_place = "before";       // of a branch; after: Res-post-LN; both; or none
  bool parallel = false;                   // mixer and ffn of a block read the same input
  double ffn_gain = 0.0;                   // start of a learned scalar on ffn branches; 0: none
  bool norm_gain = false;                  // learned gain on norms
  bool norm_bias = false;                  // learned bias on norms outside mixers
  double norm_epsilon = 1e-6;              // added to the mean square
  std::string position = "rope";           // rope, cope, learned or none
  int64_t cope_positions = 64;             // of CoPE, which counts no further
  bool cope_scaled = true;                 // CoPE's bias is scaled as q.k is
  double rope_theta = 10000.0;             // base of RoPE's frequencies
  double rope_theta_local = 0.0;           // in layers with a window; 0: rope_theta without scaling
  std::string rope_scaling = "none";       // of global layers' frequencies: none, linear or llama3
  double rope_factor = 1.0;                // that frequencies are divided by
  double rope_low = 1.0, rope_high = 4.0;  // llama3: turns over rope_original that are scaled fully
  int64_t rope_original = 8192;            // or not at all
  int64_t window = 0;          // tokens that a local layer attends to, itself included; 0: all
  std::string windows;         // local and global layers, such as "local x5, global"
  double attention_cap = 0.0;  // scores s become cap tanh(s / cap); 0: off
  double logit_cap = 0.0;      // so do logits
  std::string attention_bias = "none";  // none, qkv or all
  bool ffn_bias = false;
  bool qk_norm = false;
  std::string qk_norm_over = "head";  // or width: of all heads at once
  bool key_offset = false;
  int64_t ssm_state = 64;     // size of a state vector of mamba2
  int64_t ssm_head_dim = 16;  // units of a head, each with a state vector
  int64_t ssm_groups = 1;     // of heads that share B and C
  int64_t ssm_expand = 2;     // inner units over width
  int64_t ssm_conv = 4;       // steps that the depthwise filters see
  int64_t ssm_chunk = 0;      // steps that plain operations take at once; 0: by the state's size
  bool tied = false;
  // Heads that predict 1, 2, ... tokens ahead: a block each, the last of `depth`, on one trunk.
  int64_t mtp_heads = 1;
  // Maps of blocks: dense, bitnet (ternary weights, inputs with a norm of their own), or ternary
  // (without that norm).
  std::string linear = "dense";
  bool sub_norm = false;  // norms before the output maps of attention and ffns
  double density = 1.0;   // share of hidden matrices that is not fixed at zero
  // Parts by layer that stay as they were drawn, such as "none x3, block"; empty: none.
  std::string frozen;
  // Mixers by layer, such as "mamba2 x7, attention", repeated to the depth; empty: mixer
  // everywhere.
  std::string pattern;
  std::string ffn_pattern;  // likewise of ffns, such as "none x3, swiglu"
};

struct TrainConfig {
  int64_t tokens = 1'000'000;
  int64_t batch_tokens = 2048;
  std::string optimizer = "adamw";
  double lr = 0.5;
  double weight_decay = 0.0;
  std::string decay_rule = "independent";  // independent, coupled, width or timescale
  std::string epsilon_rule = "gradient";   // gradient or constant
  double lr_embedding = 1.0, lr_hidden = 1.0, lr_readout = 1.0;  // constants by role
  double beta1 = 0.9;
  double beta2 = 0.98;
  double epsilon = 1e-12;
  std::string moments = "fp32";  // what Adam's moments are kept in: fp32, bf16 or fp8
  std::string moments_rounding = "stochastic";  // or nearest, of bf16 and fp8
  double clip = 0.0;
  std::string schedule = "linear";  // cooldown: linear, 1-sqrt, cosine-cooldown; or plain cosine
  double warmup = 0.05;             // below 1 a fraction of the steps, from 1 up steps
  double cooldown = 0.3;            // likewise
  int64_t eval_tokens = 65536;      // held-out tokens of an evaluation
  int64_t eval_every = 0;           // steps between evaluations; 0: at the end only
  int64_t checkpoint_every = 0;     // steps between checkpoints; 0: at the end only
  int64_t members = 1;              // seeds per point
  int64_t recompute = 0;            // of every so many blocks one is computed anew; 0: none
  double memory = 0.0;              // bytes that training may take; 0: by the device
  bool deterministic = true;        // false: a GPU may add in any order
};

// What the hidden matrices of blocks multiply in (core/quantiser.h); empty: as they are.
struct FormatConfig {
  std::string weight, activation, gradient;
  std::string keep;  // maps that stay as they are, such as "out, down"
};

struct MultiplierConfig {
  double alpha_res = 1.0, alpha_attn = 1.0, alpha_ffn = 1.0, alpha_ratio = 1.0, alpha_loss = 1.0,
         alpha_emb = 1.0;
  double tau = 0.4;  // muS
};

struct RunConfig {
  std::string parametrisation = "umup";
  std::string alignment;  // full, none, global; empty: global for standard, full elsewhere
  // Of unit-scaled maps and activations: what ties their forward and backward factors together.
  std::string constraint = "to_output_scale";
  int64_t base_width = 64;
  int64_t base_depth = 4;
  int64_t base_batch_tokens = 0;  // 0: train.batch_tokens
  int64_t base_tokens = 0;        // 0: train.tokens
  uint64_t seed = 1;
  std::string device = "cpu";
  std::string precision = "fp32";
  DataConfig data;
  ModelConfig model;
  TrainConfig train;
  FormatConfig formats;
  MultiplierConfig multipliers;
};

// Calls visit(key, field, unit, help) for every field of the configuration, in file order.
template <class Config, class Visitor>
void visit_config(Config& c, Visitor&& visit) {
  visit("parametrisation", c.parametrisation, "",
        "rule from role and shape to multipliers, init and LR (rung parametrisations)");
  visit("alignment", c.alignment, "",
        "full, none or global; empty: global for standard, else full");
  visit("constraint", c.constraint, "",
        "umup's and unit-scaling's forward and backward factor: to_output_scale, "
        "to_grad_input_scale, gmean, hmean or amean");
  visit("base_width", c.base_width, "units", "width at which base hyperparameters were tuned");
  visit("base_depth", c.base_depth, "layers", "depth at which base hyperparameters were tuned");
  visit("base_batch_tokens", c.base_batch_tokens, "tokens",
        "batch of the base run, for completedp; 0: the run's own");
  visit("base_tokens", c.base_tokens, "tokens",
        "length of the base run, for completedp; 0: the run's own");
  visit("seed", c.seed, "", "initialisation and data order");
  visit("device", c.device, "", "cpu or cuda");
  visit("precision", c.precision, "", "fp64, fp32, bf16 or fp8");
  visit("data.path", c.data.path, "",
        "text file, folder or .jsonl, compressed or not; default: the shipped text; or synthetic");
  visit("data.tokenizer", c.data.tokenizer, "",
        "bytes, bpe, unigram, or a tokenizer.model or .json");
  visit("data.vocabulary", c.data.vocabulary, "tokens", "size of a bpe or unigram vocabulary");
  visit("data.held_out", c.data.held_out, "fraction", "share of documents never trained on");
  visit("data.repeat", c.data.repeat, "", "allow tokens to be seen more than once");
  visit("model.width", c.model.width, "units", "size of the residual stream");
  visit("model.depth", c.model.depth, "layers", "number of blocks");
  visit("model.head_dim", c.model.head_dim, "units", "size of a head; 0: width / 4");
  visit("model.heads", c.model.heads, "heads", "query heads; 0: width / head_dim");
  visit("model.kv_heads", c.model.kv_heads, "heads",
        "key and value heads; 0: as many as query heads");
  visit("model.context", c.model.context, "tokens", "length of a training sequence");
  visit("model.mixer", c.model.mixer, "", "sequence-mixing half of a block (rung mixers)");
  visit("model.ffn", c.model.ffn, "", "channel-mixing half of a block (rung ffns)");
  visit("model.ffn_ratio", c.model.ffn_ratio, "", "hidden units of the ffn over width");
  visit("model.moe_experts", c.model.moe_experts, "experts", "experts of a moe layer");
  visit("model.moe_ratio", c.model.moe_ratio, "",
        "hidden units of an expert of moe over width; 0: model.ffn_ratio");
  visit("model.moe_top_k", c.model.moe_top_k, "experts", "experts of moe that a token is sent to");
  visit("model.moe_gates", c.model.moe_gates, "",
        "softmax over the chosen experts (Mixtral) or over all (Switch)");
  visit("model.moe_shared", c.model.moe_shared, "experts", "experts of moe that every token has");
  visit("model.moe_balance", c.model.moe_balance, "", "weight of moe's balance loss, in training");
  visit("model.moe_z", c.model.moe_z, "", "weight of its router's z-loss, in training");
  visit("model.peer_experts", c.model.peer_experts, "neurons", "experts of peer, a square");
  visit("model.peer_heads", c.model.peer_heads, "heads", "retrievals of peer a token");
  visit("model.peer_top_k", c.model.peer_top_k, "neurons", "experts that a head of peer retrieves");
  visit("model.peer_key", c.model.peer_key, "units",
        "size of peer's queries, which are in two halves");
  visit("model.peer_norm", c.model.peer_norm, "", "normalise peer's queries");
  visit("model.peer_shared", c.model.peer_shared, "neurons",
        "neurons of peer that every token has");
  visit("model.norm", c.model.norm, "", "rmsnorm or layernorm");
  visit("model.norm_place", c.model.norm_place, "",
        "before a branch, after it (Res-post-LN, for mus), both, or none but the first and last");
  visit("model.parallel", c.model.parallel, "", "mixer and ffn of a block read the same input");
  visit("model.ffn_gain", c.model.ffn_gain, "",
        "start of a learned scalar on every ffn branch (sas: 0.1); 0: none");
  visit("model.norm_gain", c.model.norm_gain, "", "learn a gain in every norm");
  visit("model.norm_bias", c.model.norm_bias, "", "learn a bias in the norms around branches");
  visit("model.norm_epsilon", c.model.norm_epsilon, "", "added to the mean square in these norms");
  visit("model.position", c.model.position, "", "rope, cope, learned or none");
  visit("model.cope_positions", c.model.cope_positions, "positions", "how far CoPE counts");
  visit("model.cope_scaled", c.model.cope_scaled, "", "scale CoPE's bias as q.k is");
  visit("model.rope_theta", c.model.rope_theta, "", "base of RoPE's frequencies");
  visit("model.rope_theta_local", c.model.rope_theta_local, "",
        "base in layers with a window, which are not scaled then; 0: as the others");
  visit("model.rope_scaling", c.model.rope_scaling, "",
        "none, linear (all frequencies / rope_factor) or llama3 (the slow ones)");
  visit("model.rope_factor", c.model.rope_factor, "", "divides RoPE's frequencies");
  visit("model.rope_low", c.model.rope_low, "turns",
        "llama3: frequencies of fewer turns over rope_original are divided");
  visit("model.rope_high", c.model.rope_high, "turns",
        "llama3: frequencies of more turns are kept");
  visit("model.rope_original", c.model.rope_original, "tokens", "llama3: context before scaling");
  visit("model.window", c.model.window, "tokens",
        "tokens that a local layer attends to, its own included; 0: all");
  visit("model.windows", c.model.windows, "",
        "which layers are local, such as 'local x5, global'; empty: all");
  visit("model.attention_cap", c.model.attention_cap, "",
        "scores s become cap tanh(s / cap); 0: off");
  visit("model.logit_cap", c.model.logit_cap, "", "logits l become cap tanh(l / cap); 0: off");
  visit("model.attention_bias", c.model.attention_bias, "", "none, qkv or all maps of attention");
  visit("model.ffn_bias", c.model.ffn_bias, "", "biases in the ffn");
  visit("model.qk_norm", c.model.qk_norm, "", "RMS-normalise queries and keys");
  visit("model.qk_norm_over", c.model.qk_norm_over, "", "a head, or the width of all heads");
  visit("model.key_offset", c.model.key_offset, "",
        "half of each key from the position before: copying in one layer");
  visit("model.ssm_state", c.model.ssm_state, "units", "state vector of mamba2");
  visit("model.ssm_head_dim", c.model.ssm_head_dim, "units", "head of mamba2");
  visit("model.ssm_groups", c.model.ssm_groups, "groups",
        "groups of heads that share B and C (mamba2)");
  visit("model.ssm_expand", c.model.ssm_expand, "", "inner units of mamba2 and mlstm over width");
  visit("model.ssm_conv", c.model.ssm_conv, "steps",
        "length of depthwise filters (mamba2, mlstm, slstm)");
  visit(
      "model.ssm_chunk", c.model.ssm_chunk, "steps",
      "steps that mamba2's and mlstm's plain operations take at once; 0: by the size of the state");
  visit("model.tied", c.model.tied, "", "share embedding and readout");
  visit("model.mtp_heads", c.model.mtp_heads, "heads",
        "heads that predict 1, 2, ... tokens ahead: a block each, the last of model.depth");
  visit("model.linear", c.model.linear, "",
        "maps of blocks: dense, bitnet (ternary weights, int8 inputs that each map normalises) or "
        "ternary (without that norm)");
  visit("model.sub_norm", c.model.sub_norm, "",
        "norms before the output maps of attention and ffns (BitNet 2B4T)");
  visit("model.density", c.model.density, "fraction", "nonzero share of hidden matrices (supar)");
  visit("model.frozen", c.model.frozen, "",
        "parts by layer that are never trained: none, mixer, ffn or block, such as 'none, block'");
  visit("model.pattern", c.model.pattern, "", "mixers by layer, such as 'mamba2 x7, attention'");
  visit("model.ffn_pattern", c.model.ffn_pattern, "", "ffns by layer, such as 'none x3, swiglu'");
  visit("train.tokens", c.train.tokens, "tokens", "tokens to train on");
  visit("train.batch_tokens", c.train.batch_tokens, "tokens", "tokens per optimizer step");
  visit("train.optimizer", c.train.optimizer, "", "update rule (rung optimizers)");
  visit("train.lr", c.train.lr, "", "peak learning rate before the parametrisation's factor");
  visit("train.weight_decay", c.train.weight_decay, "1/step", "weight decay, by train.decay_rule");
  visit("train.decay_rule", c.train.decay_rule, "",
        "independent; coupled: times the LR; width: hidden / m; timescale: run length over tau");
  visit("train.epsilon_rule", c.train.epsilon_rule, "",
        "gradient: epsilon follows the parametrisation; constant: one for all tensors");
  visit("train.lr_embedding", c.train.lr_embedding, "", "constant on embeddings', gains' LR");
  visit("train.lr_hidden", c.train.lr_hidden, "", "constant on the LR of matrices in blocks");
  visit("train.lr_readout", c.train.lr_readout, "", "constant on the readout's LR");
  visit("train.beta1", c.train.beta1, "", "Adam's first decay");
  visit("train.beta2", c.train.beta2, "", "Adam's second decay");
  visit("train.epsilon", c.train.epsilon, "", "Adam's epsilon before the parametrisation's factor");
  visit("train.moments", c.train.moments, "",
        "what Adam's moments are kept in: fp32, bf16, or fp8 (the first in E4M3, the second in "
        "bf16)");
  visit("train.moments_rounding", c.train.moments_rounding, "",
        "of bf16 and fp8 moments: stochastic or nearest");
  visit("train.clip", c.train.clip, "", "largest global gradient norm of a member; 0: off");
  visit("train.schedule", c.train.schedule, "",
        "linear, 1-sqrt, cosine-cooldown, cosine or constant");
  visit("train.warmup", c.train.warmup, "fraction|steps", "linear warm-up");
  visit("train.cooldown", c.train.cooldown, "fraction|steps", "length of the cooldown");
  visit("train.eval_tokens", c.train.eval_tokens, "tokens", "held-out tokens of an evaluation");
  visit("train.eval_every", c.train.eval_every, "steps", "steps between evaluations; 0: end only");
  visit("train.checkpoint_every", c.train.checkpoint_every, "steps",
        "steps between checkpoints; 0: end only");
  visit("train.members", c.train.members, "", "seeds per point");
  visit("train.recompute", c.train.recompute, "blocks",
        "one of so many blocks keeps no activations for the backward pass; 0: all keep them");
  visit("train.memory", c.train.memory, "bytes",
        "bytes that training may take of its device; 0: 70 % of what a GPU has free, no limit on a "
        "CPU");
  visit("train.deterministic", c.train.deterministic, "",
        "equal bits in every run; false: attention on a GPU may add gradients in any order");
  visit("formats.weight", c.formats.weight, "",
        "format that hidden matrices multiply in, such as 'e4m3' or 'int8 channel'; empty: none");
  visit("formats.activation", c.formats.activation, "", "of what they read, such as 'e4m3 tensor'");
  visit("formats.gradient", c.formats.gradient, "",
        "of their outputs' gradients, such as 'e5m2 stochastic'");
  visit("formats.keep", c.formats.keep, "", "maps without these formats, such as 'out, down'");
  visit("multipliers.alpha_res", c.multipliers.alpha_res, "", "size of residual branches");
  visit("multipliers.alpha_attn", c.multipliers.alpha_attn, "", "temperature of attention");
  visit("multipliers.alpha_ffn", c.multipliers.alpha_ffn, "", "slope of the ffn's activation");
  visit("multipliers.alpha_ratio", c.multipliers.alpha_ratio, "",
        "attention branches over ffn branches");
  visit("multipliers.alpha_loss", c.multipliers.alpha_loss, "", "temperature of the readout");
  visit("multipliers.alpha_emb", c.multipliers.alpha_emb, "", "size of the embedding");
  visit("multipliers.tau", c.multipliers.tau, "", "share of a branch in muS's residual sum");
}

}  // namespace rung
