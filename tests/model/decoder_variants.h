// The kinds of decoder that decoder_test.cpp checks: a new part is a line here.
#pragma once
#include "support/models.h"

namespace rung::test {

// Every part and switch, each off the defaults once.
inline const std::vector<Variant> decoder_variants{
    {"plain", [](RunConfig&) {}},
    {"gqa", [](RunConfig& c) { c.model.head_dim = 6, c.model.kv_heads = 2; }},
    {"mqa without positions",
     [](RunConfig& c) { c.model.head_dim = 3, c.model.kv_heads = 1, c.model.position = "none"; }},
    {"cope with offset keys",
     [](RunConfig& c) { c.model.position = "cope", c.model.key_offset = true; }},
    {"offset keys, gqa",
     [](RunConfig& c) { c.model.key_offset = true, c.model.head_dim = 6, c.model.kv_heads = 2; }},
    {"learned positions", [](RunConfig& c) { c.model.position = "learned"; }},
    {"cope", [](RunConfig& c) { c.model.position = "cope", c.model.cope_positions = 4; }},
    {"cope, not scaled, gqa, mup",
     [](RunConfig& c) {
       c.parametrisation = "mup", c.model.head_dim = 6, c.model.kv_heads = 2;
       c.model.position = "cope", c.model.cope_scaled = false;
     }},
    {"mamba2", [](RunConfig& c) { c.model.mixer = "mamba2", c.model.ssm_chunk = 3; }},
    {"mamba2, groups, gains, mup",
     [](RunConfig& c) {
       c.parametrisation = "mup", c.model.mixer = "mamba2", c.model.norm_gain = true;
       c.model.ssm_groups = 2, c.model.ssm_head_dim = 6, c.model.ssm_state = 5;
     }},
    {"mlstm", [](RunConfig& c) { c.model.mixer = "mlstm", c.model.ssm_chunk = 4; }},
    {"mlstm, gains, heads of 6, mup",
     [](RunConfig& c) {
       c.parametrisation = "mup", c.model.mixer = "mlstm", c.model.norm_gain = true;
       c.model.head_dim = 6, c.model.ssm_expand = 1;
     }},
    {"slstm", [](RunConfig& c) { c.model.mixer = "slstm", c.model.ssm_conv = 3; }},
    {"mlstm-large", [](RunConfig& c) { c.model.mixer = "mlstm-large", c.model.ssm_chunk = 5; }},
    {"mlgru", [](RunConfig& c) { c.model.mixer = "mlgru"; }},
    {"mlgru behind attention, gains, mup",
     [](RunConfig& c) {
       c.parametrisation = "mup", c.model.pattern = "attention, mlgru";
       c.model.norm_gain = true;
     }},
    {"xlstm [1:1], gains, mup",
     [](RunConfig& c) {
       c.parametrisation = "mup", c.model.pattern = "mlstm-large, slstm";
       c.model.norm_gain = true, c.model.head_dim = 12;
     }},
    {"hybrid",
     [](RunConfig& c) { c.model.pattern = "mamba2, attention", c.model.ssm_head_dim = 12; }},
    {"moe without auxiliary losses",
     [](RunConfig& c) {
       c.model.ffn = "moe", c.model.moe_experts = 3, c.model.moe_balance = c.model.moe_z = 0.0;
     }},
    {"switch with a shared expert, mup, after gelu",
     [](RunConfig& c) {
       c.parametrisation = "mup", c.model.ffn_pattern = "gelu, moe", c.model.moe_experts = 3;
       c.model.moe_top_k = c.model.moe_shared = 1, c.model.moe_gates = "all";
       c.model.moe_balance = c.model.moe_z = 0.0;
     }},
    {"peer",
     [](RunConfig& c) {
       c.model.ffn = "peer", c.model.peer_experts = 9, c.model.peer_top_k = 3;
       c.model.peer_heads = 4;
     }},
    {"peer with shared neurons, bare queries, mup",
     [](RunConfig& c) {
       c.parametrisation = "mup", c.model.ffn_pattern = "peer, swiglu", c.model.peer_experts = 9;
       c.model.peer_top_k = 2, c.model.peer_heads = 4, c.model.peer_key = 6;
       c.model.peer_norm = false, c.model.peer_shared = 5;
     }},
    {"mamba2 alone", [](RunConfig& c) { c.model.mixer = "mamba2", c.model.ffn = "none"; }},
    {"ffns by layer, gains, norms after",
     [](RunConfig& c) {
       c.model.pattern = "mlstm, slstm", c.model.ffn_pattern = "none, geglu";
       c.model.norm_gain = true, c.model.norm_place = "after";
     }},
    {"sas", [](RunConfig& c) { c.model.mixer = "sas"; }},
    {"sas with values and output map, ffn gain, offset keys, mup, layernorm",
     [](RunConfig& c) {
       c.parametrisation = "mup", c.model.pattern = "sas-v, sas-vp", c.model.ffn_gain = 0.3;
       c.model.key_offset = true, c.model.norm = "layernorm", c.model.norm_gain = true;
     }},
    {"sas-p without norms",
     [](RunConfig& c) {
       c.model.mixer = "sas", c.model.parallel = true, c.model.norm_place = "none";
       c.model.ffn_gain = 0.3, c.model.ffn = "gelu";
     }},
    {"parallel attention with gains and biases, learned positions",
     [](RunConfig& c) {
       c.model.parallel = true, c.model.norm_gain = c.model.norm_bias = true;
       c.model.norm = "layernorm", c.model.position = "learned";
     }},
    {"fastfood", [](RunConfig& c) { c.model.ffn = "fastfood"; }},
    {"frozen layers, mup",
     [](RunConfig& c) {
       c.parametrisation = "mup", c.model.depth = 3, c.model.frozen = "block, mixer, ffn";
     }},
    {"frozen parts of other kinds",
     [](RunConfig& c) {
       c.model.pattern = "mamba2, sas", c.model.ffn_pattern = "moe, fastfood";
       c.model.frozen = "block", c.model.moe_balance = c.model.moe_z = 0.0,
       c.model.norm_gain = true;
     }},
    {"layernorm with gains",
     [](RunConfig& c) { c.model.norm = "layernorm", c.model.norm_gain = true; }},
    {"rmsnorm with gains and qk-norm",
     [](RunConfig& c) { c.model.norm_gain = true, c.model.qk_norm = true; }},
    {"biases, qk-norm over the width, reordered norms",
     [](RunConfig& c) {
       c.model.attention_bias = "all", c.model.ffn_bias = true, c.model.norm_bias = true;
       c.model.norm_gain = true, c.model.qk_norm = true, c.model.qk_norm_over = "width";
       c.model.norm_place = "after", c.model.norm_epsilon = 1e-5;
     }},
    {"layernorm with biases, biased qkv",
     [](RunConfig& c) {
       c.model.norm = "layernorm", c.model.norm_gain = true, c.model.norm_bias = true;
       c.model.attention_bias = "qkv", c.model.ffn = "gelu", c.model.ffn_bias = true;
     }},
    {"window, caps, norms on both sides",
     [](RunConfig& c) {
       c.model.window = 3, c.model.attention_cap = 1.5, c.model.logit_cap = 2.0;
       c.model.norm_place = "both", c.model.norm_gain = true, c.model.tied = true;
     }},
    {"local and global layers with rotations of their own, gqa, offset keys",
     [](RunConfig& c) {
       c.model.window = 4, c.model.windows = "local, global", c.model.rope_theta = 300.0;
       c.model.rope_theta_local = 20.0, c.model.rope_scaling = "llama3", c.model.rope_factor = 8.0;
       c.model.rope_original = 9, c.model.key_offset = true;
       c.model.head_dim = 6, c.model.kv_heads = 2;
     }},
    {"heads of another width than the model's",
     [](RunConfig& c) { c.model.head_dim = 8, c.model.heads = 6, c.model.kv_heads = 3; }},
    {"tied", [](RunConfig& c) { c.model.tied = true, c.multipliers.alpha_emb = 1.7; }},
    {"geglu", [](RunConfig& c) { c.model.ffn = "geglu", c.multipliers.alpha_ffn = 1.4; }},
    {"gelu", [](RunConfig& c) { c.model.ffn = "gelu"; }},
    {"relu2", [](RunConfig& c) { c.model.ffn = "relu2"; }},
    {"norms inside, gated relu2",
     [](RunConfig& c) { c.model.sub_norm = true, c.model.ffn = "reglu2"; }},
    {"norms with gains inside, biases, gqa",
     [](RunConfig& c) {
       c.model.sub_norm = true, c.model.norm_gain = true, c.model.attention_bias = "all";
       c.model.ffn_bias = true, c.model.qk_norm = true, c.model.norm = "layernorm";
       c.model.head_dim = 6, c.model.kv_heads = 2, c.parametrisation = "mup";
     }},
    {"multipliers", [](RunConfig& c) { c.multipliers = {0.7, 1.3, 0.6, 1.5, 1.2, 0.8}; }},
    {"completep", [](RunConfig& c) { c.parametrisation = "completep", c.model.depth = 3; }},
    {"mup", [](RunConfig& c) { c.parametrisation = "mup"; }},
    {"norms after branches",
     [](RunConfig& c) {
       c.model.norm_place = "after", c.model.norm_gain = true, c.model.norm = "layernorm";
       c.multipliers.alpha_res = 0.7;
     }},
    {"mus", [](RunConfig& c) { c.parametrisation = "mus", c.model.norm_place = "after"; }},
    {"ntk", [](RunConfig& c) { c.parametrisation = "ntk"; }},
    {"mfp tied", [](RunConfig& c) { c.parametrisation = "mfp", c.model.tied = true; }},
    {"mup tied", [](RunConfig& c) { c.parametrisation = "mup", c.model.tied = true; }},
};

}  // namespace rung::test
