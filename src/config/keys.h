// The keys of the configuration: each field is visited once, with key, unit and help. The visitor
// serves TOML files, --set, JSON, config.toml, validation and docs/config.md alike.
#pragma once
#include "config/config.h"

namespace rung {
namespace keys {

template <class Config, class Visitor>
void visit_run(Config& c, Visitor& visit) {
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
}

template <class Config, class Visitor>
void visit_data(Config& d, Visitor& visit) {
  visit("data.path", d.path, "",
        "text file, folder or .jsonl, compressed or not; default: the shipped text; or synthetic");
  visit("data.tokenizer", d.tokenizer, "", "bytes, bpe, unigram, or a tokenizer.model or .json");
  visit("data.vocabulary", d.vocabulary, "tokens", "size of a bpe or unigram vocabulary");
  visit("data.held_out", d.held_out, "fraction", "share of documents never trained on");
  visit("data.repeat", d.repeat, "", "allow tokens to be seen more than once");
}

template <class Config, class Visitor>
void visit_shape(Config& m, Visitor& visit) {
  visit("model.width", m.width, "units", "size of the residual stream");
  visit("model.depth", m.depth, "layers", "number of blocks");
  visit("model.head_dim", m.head_dim, "units", "size of a head; 0: width / 4");
  visit("model.heads", m.heads, "heads", "query heads; 0: width / head_dim");
  visit("model.kv_heads", m.kv_heads, "heads", "key and value heads; 0: as many as query heads");
  visit("model.context", m.context, "tokens", "length of a training sequence");
  visit("model.mixer", m.mixer, "", "sequence-mixing half of a block (rung mixers)");
  visit("model.ffn", m.ffn, "", "channel-mixing half of a block (rung ffns)");
  visit("model.ffn_ratio", m.ffn_ratio, "", "hidden units of the ffn over width");
}

template <class Config, class Visitor>
void visit_experts(Config& m, Visitor& visit) {
  visit("model.moe_experts", m.moe_experts, "experts", "experts of a moe layer");
  visit("model.moe_ratio", m.moe_ratio, "",
        "hidden units of an expert of moe over width; 0: model.ffn_ratio");
  visit("model.moe_top_k", m.moe_top_k, "experts", "experts of moe that a token is sent to");
  visit("model.moe_gates", m.moe_gates, "",
        "softmax over the chosen experts (Mixtral) or over all (Switch)");
  visit("model.moe_shared", m.moe_shared, "experts", "experts of moe that every token has");
  visit("model.moe_balance", m.moe_balance, "", "weight of moe's balance loss, in training");
  visit("model.moe_z", m.moe_z, "", "weight of its router's z-loss, in training");
  visit("model.peer_experts", m.peer_experts, "neurons", "experts of peer, a square");
  visit("model.peer_heads", m.peer_heads, "heads", "retrievals of peer a token");
  visit("model.peer_top_k", m.peer_top_k, "neurons", "experts that a head of peer retrieves");
  visit("model.peer_key", m.peer_key, "units", "size of peer's queries, which are in two halves");
  visit("model.peer_norm", m.peer_norm, "", "normalise peer's queries");
  visit("model.peer_shared", m.peer_shared, "neurons", "neurons of peer that every token has");
}

template <class Config, class Visitor>
void visit_norms(Config& m, Visitor& visit) {
  visit("model.norm", m.norm, "", "rmsnorm or layernorm");
  visit("model.norm_place", m.norm_place, "",
        "before a branch, after it (Res-post-LN, for mus), both, or none but the first and last");
  visit("model.parallel", m.parallel, "", "mixer and ffn of a block read the same input");
  visit("model.ffn_gain", m.ffn_gain, "",
        "start of a learned scalar on every ffn branch (sas: 0.1); 0: none");
  visit("model.norm_gain", m.norm_gain, "", "learn a gain in every norm");
  visit("model.norm_bias", m.norm_bias, "", "learn a bias in the norms around branches");
  visit("model.norm_epsilon", m.norm_epsilon, "", "added to the mean square in these norms");
}

template <class Config, class Visitor>
void visit_positions(Config& m, Visitor& visit) {
  visit("model.position", m.position, "", "rope, cope, learned or none");
  visit("model.cope_positions", m.cope_positions, "positions", "how far CoPE counts");
  visit("model.cope_scaled", m.cope_scaled, "", "scale CoPE's bias as q.k is");
  visit("model.rope_theta", m.rope_theta, "", "base of RoPE's frequencies");
  visit("model.rope_theta_local", m.rope_theta_local, "",
        "base in layers with a window, which are not scaled then; 0: as the others");
  visit("model.rope_scaling", m.rope_scaling, "",
        "none, linear (all frequencies / rope_factor) or llama3 (the slow ones)");
  visit("model.rope_factor", m.rope_factor, "", "divides RoPE's frequencies");
  visit("model.rope_low", m.rope_low, "turns",
        "llama3: frequencies of fewer turns over rope_original are divided");
  visit("model.rope_high", m.rope_high, "turns", "llama3: frequencies of more turns are kept");
  visit("model.rope_original", m.rope_original, "tokens", "llama3: context before scaling");
}

template <class Config, class Visitor>
void visit_attention(Config& m, Visitor& visit) {
  visit("model.window", m.window, "tokens",
        "tokens that a local layer attends to, its own included; 0: all");
  visit("model.windows", m.windows, "",
        "which layers are local, such as 'local x5, global'; empty: all");
  visit("model.attention_cap", m.attention_cap, "", "scores s become cap tanh(s / cap); 0: off");
  visit("model.logit_cap", m.logit_cap, "", "logits l become cap tanh(l / cap); 0: off");
  visit("model.attention_bias", m.attention_bias, "", "none, qkv or all maps of attention");
  visit("model.ffn_bias", m.ffn_bias, "", "biases in the ffn");
  visit("model.qk_norm", m.qk_norm, "", "RMS-normalise queries and keys");
  visit("model.qk_norm_over", m.qk_norm_over, "", "a head, or the width of all heads");
  visit("model.key_offset", m.key_offset, "",
        "half of each key from the position before: copying in one layer");
}

template <class Config, class Visitor>
void visit_recurrence(Config& m, Visitor& visit) {
  visit("model.ssm_state", m.ssm_state, "units", "state vector of mamba2");
  visit("model.ssm_head_dim", m.ssm_head_dim, "units", "head of mamba2");
  visit("model.ssm_groups", m.ssm_groups, "groups", "groups of heads that share B and C (mamba2)");
  visit("model.ssm_expand", m.ssm_expand, "", "inner units of mamba2 and mlstm over width");
  visit("model.ssm_conv", m.ssm_conv, "steps",
        "length of depthwise filters (mamba2, mlstm, slstm)");
  visit(
      "model.ssm_chunk", m.ssm_chunk, "steps",
      "steps that mamba2's and mlstm's plain operations take at once; 0: by the size of the state");
}

template <class Config, class Visitor>
void visit_layers(Config& m, Visitor& visit) {
  visit("model.tied", m.tied, "", "share embedding and readout");
  visit("model.mtp_heads", m.mtp_heads, "heads",
        "heads that predict 1, 2, ... tokens ahead: a block each, the last of model.depth");
  visit("model.linear", m.linear, "",
        "maps of blocks: dense, bitnet (ternary weights, int8 inputs that each map normalises) or "
        "ternary (without that norm)");
  visit("model.sub_norm", m.sub_norm, "",
        "norms before the output maps of attention and ffns (BitNet 2B4T)");
  visit("model.density", m.density, "fraction", "nonzero share of hidden matrices (supar)");
  visit("model.frozen", m.frozen, "",
        "parts by layer that are never trained: none, mixer, ffn or block, such as 'none, block'");
  visit("model.pattern", m.pattern, "", "mixers by layer, such as 'mamba2 x7, attention'");
  visit("model.ffn_pattern", m.ffn_pattern, "", "ffns by layer, such as 'none x3, swiglu'");
}

template <class Config, class Visitor>
void visit_train(Config& t, Visitor& visit) {
  visit("train.tokens", t.tokens, "tokens", "tokens to train on");
  visit("train.batch_tokens", t.batch_tokens, "tokens", "tokens per optimizer step");
  visit("train.optimizer", t.optimizer, "", "update rule (rung optimizers)");
  visit("train.lr", t.lr, "", "peak learning rate before the parametrisation's factor");
  visit("train.weight_decay", t.weight_decay, "1/step", "weight decay, by train.decay_rule");
  visit("train.decay_rule", t.decay_rule, "",
        "independent; coupled: times the LR; width: hidden / m; timescale: run length over tau");
  visit("train.epsilon_rule", t.epsilon_rule, "",
        "gradient: epsilon follows the parametrisation; constant: one for all tensors");
  visit("train.lr_embedding", t.lr_embedding, "", "constant on embeddings', gains' LR");
  visit("train.lr_hidden", t.lr_hidden, "", "constant on the LR of matrices in blocks");
  visit("train.lr_readout", t.lr_readout, "", "constant on the readout's LR");
  visit("train.beta1", t.beta1, "", "Adam's first decay");
  visit("train.beta2", t.beta2, "", "Adam's second decay");
  visit("train.epsilon", t.epsilon, "", "Adam's epsilon before the parametrisation's factor");
  visit("train.moments", t.moments, "",
        "what Adam's moments are kept in: fp32, bf16, or fp8 (the first in E4M3, the second in "
        "bf16)");
  visit("train.moments_rounding", t.moments_rounding, "",
        "of bf16 and fp8 moments: stochastic or nearest");
  visit("train.gradients", t.gradients, "",
        "what gradients of the blocks' dense maps are rounded to for AdamW: fp32, or bf16 (models "
        "wider than 128; on a GPU where a step takes its batch at once)");
  visit("train.clip", t.clip, "", "largest global gradient norm of a member; 0: off");
  visit("train.schedule", t.schedule, "", "linear, 1-sqrt, cosine-cooldown, cosine or constant");
  visit("train.warmup", t.warmup, "fraction|steps", "linear warm-up");
  visit("train.cooldown", t.cooldown, "fraction|steps", "length of the cooldown");
  visit("train.eval_tokens", t.eval_tokens, "tokens", "held-out tokens of an evaluation");
  visit("train.eval_every", t.eval_every, "steps", "steps between evaluations; 0: end only");
  visit("train.checkpoint_every", t.checkpoint_every, "steps",
        "steps between checkpoints; 0: end only");
  visit("train.members", t.members, "", "seeds per point");
  visit("train.recompute", t.recompute, "blocks",
        "one of so many blocks keeps no activations for the backward pass; 0: all keep them");
  visit("train.memory", t.memory, "bytes",
        "what training may take of its device, as 8GB; 0: 70 % of what a GPU has free, no limit on "
        "a CPU");
  visit("train.deterministic", t.deterministic, "",
        "equal bits in every run; false: attention on a GPU may add gradients in any order");
}

template <class Config, class Visitor>
void visit_formats(Config& f, Visitor& visit) {
  visit("formats.weight", f.weight, "",
        "format that hidden matrices multiply in, such as 'e4m3' or 'int8 channel'; empty: none");
  visit("formats.activation", f.activation, "", "of what they read, such as 'e4m3 tensor'");
  visit("formats.gradient", f.gradient, "",
        "of their outputs' gradients, such as 'e5m2 stochastic'");
  visit("formats.keep", f.keep, "", "maps without these formats, such as 'out, down'");
}

template <class Config, class Visitor>
void visit_multipliers(Config& m, Visitor& visit) {
  visit("multipliers.alpha_res", m.alpha_res, "", "size of residual branches");
  visit("multipliers.alpha_attn", m.alpha_attn, "", "temperature of attention");
  visit("multipliers.alpha_ffn", m.alpha_ffn, "", "slope of the ffn's activation");
  visit("multipliers.alpha_ratio", m.alpha_ratio, "", "attention branches over ffn branches");
  visit("multipliers.alpha_loss", m.alpha_loss, "", "temperature of the readout");
  visit("multipliers.alpha_emb", m.alpha_emb, "", "size of the embedding");
  visit("multipliers.tau", m.tau, "", "share of a branch in muS's residual sum");
}

}  // namespace keys

// Calls visit(key, field, unit, help) for every field of the configuration, in file order.
template <class Config, class Visitor>
void visit_config(Config& c, Visitor&& visit) {
  keys::visit_run(c, visit);
  keys::visit_data(c.data, visit);
  keys::visit_shape(c.model, visit);
  keys::visit_experts(c.model, visit);
  keys::visit_norms(c.model, visit);
  keys::visit_positions(c.model, visit);
  keys::visit_attention(c.model, visit);
  keys::visit_recurrence(c.model, visit);
  keys::visit_layers(c.model, visit);
  keys::visit_train(c.train, visit);
  keys::visit_formats(c.formats, visit);
  keys::visit_multipliers(c.multipliers, visit);
}

}  // namespace rung
