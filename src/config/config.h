// The resolved configuration of one run. config/keys.h names every field for files, --set and help.
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
  std::string gradients = "fp32";               // of hidden maps, as AdamW reads them: fp32 or bf16
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

}  // namespace rung
