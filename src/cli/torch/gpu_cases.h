// The shapes that `rung bench` and bench/gpu_step measure on a GPU.
#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "data/source.h"
#include "model/decoder.h"

namespace rung {

struct GpuCase {
  std::string_view name;
  std::string_view shape;  // cases of one shape share the rival's model
  std::string_view summary;
  int64_t vocabulary, depth, width, heads, inner, context, batch;  // batch: sequences
  int64_t members;
  bool alone = false;  // so large that ours and the rival's may not fit beside each other
  std::string_view mixer = "attention";  // another: alone in its block, and inner is 0
  // Another than these is measured against these in Rung itself, and not against PyTorch. The ffn
  // moe: two of eight experts with half of `inner` each, so that a token has as many.
  std::string_view ffn = "swiglu", optimizer = "adamw";
  std::string_view precision = "bf16";  // fp8: u-muP's scales; the rival stays in bf16
};

inline constexpr std::array gpu_cases{
    GpuCase{"gpu-w64", "w64", "one model of width 64", 4096, 4, 64, 4, 192, 256, 16, 1},
    GpuCase{"gpu-w64-p32", "w64", "32 members of width 64", 4096, 4, 64, 4, 192, 256, 16, 32},
    GpuCase{"gpu-w64-p256", "w64", "256 members of width 64", 4096, 4, 64, 4, 192, 256, 16, 256},
    GpuCase{"gpu-w128", "w128", "one model of width 128", 4096, 4, 128, 4, 384, 256, 16, 1},
    GpuCase{"gpu-w128-p32", "w128", "32 members of width 128", 4096, 4, 128, 4, 384, 256, 16, 32},
    GpuCase{"gpu-w256", "w256", "one model of width 256", 8192, 4, 256, 4, 768, 256, 64, 1},
    GpuCase{"gpu-w256-p32", "w256", "32 members of width 256", 8192, 4, 256, 4, 768, 256, 64, 32},
    GpuCase{"gpu-w512", "w512", "one model of width 512", 32768, 6, 512, 8, 1408, 1024, 32, 1},
    GpuCase{"gpu-124M", "124M", "124M: 12 layers of 768", 50304, 12, 768, 12, 2048, 1024, 32, 1},
    GpuCase{"gpu-1B", "1B", "1.16B: 20 layers of 2048", 32768, 20, 2048, 16, 5632, 2048, 8, 1,
            true},
    GpuCase{"gpu-1B-fp8", "1B-fp8", "the same in FP8, beside PyTorch in bf16", 32768, 20, 2048, 16,
            5632, 2048, 8, 1, true, "attention", "swiglu", "adamw", "fp8"},
    GpuCase{"gpu-ssd", "ssd", "four Mamba-2 mixers of width 768, 24 heads of 64, states of 128",
            4096, 4, 768, 24, 0, 2048, 8, 1, false, "mamba2"},
    GpuCase{"gpu-mlstm", "mlstm", "four mLSTM mixers of width 768, 6 heads, memories of 64 x 128",
            4096, 4, 768, 6, 0, 2048, 8, 1, false, "mlstm-large"},
    GpuCase{"gpu-moe", "moe", "8 layers of 768 with two of eight experts, beside dense ones", 4096,
            8, 768, 12, 2048, 1024, 32, 1, true, "attention", "moe"},
    GpuCase{"gpu-muon", "124M-512", "124M, 0.5M tokens a step by Muon, beside AdamW", 50304, 12,
            768, 12, 2048, 1024, 512, 1, true, "attention", "swiglu", "muon"},
    GpuCase{"gpu-muon-32k", "124M", "124M, 32k tokens a step by Muon, beside AdamW", 50304, 12, 768,
            12, 2048, 1024, 32, 1, true, "attention", "swiglu", "muon"},
    GpuCase{"gpu-soap", "124M-512", "124M, 0.5M tokens a step by SOAP, beside AdamW", 50304, 12,
            768, 12, 2048, 1024, 512, 1, true, "attention", "swiglu", "soap"},
    GpuCase{"gpu-soap-32k", "124M", "124M, 32k tokens a step by SOAP, beside AdamW", 50304, 12, 768,
            12, 2048, 1024, 32, 1, true, "attention", "swiglu", "soap"},
};

// The case with a dense ffn and AdamW that another ffn or optimizer is measured against.
GpuCase plain_of(const GpuCase& c);
bool has_plain(const GpuCase& c);

// Standard parametrisation (in FP8 u-muP, whose numbers need no scales of their own), clip 1; the
// members differ in seed alone.
std::vector<RunConfig> gpu_members(const GpuCase& c);

// Of one member.
int64_t parameters_of(const GpuCase& c);

// Random windows with Zipf's frequencies: token k about as often as 1 / (k + 2), as in text, where
// a few rows of the embedding get most of the gradients.
std::shared_ptr<const TokenSource> zipf_tokens(int64_t vocabulary);

// Of cases with attention: bytes that the kernels of one step name when each reads and writes each
// of its bf16 tensors once. Elements per token and layer of width D and inner width F, forward 26 D
// + 6 F:
//   two add-norms 8 D; QKV 4 D, rotation 6 D, attention 4 D, output 2 D; gate-up D + 2 F, SwiGLU
//   3 F, down F + D
// and backward 38 D + 11 F (two products for each of the forward's); head and embedding 15 D + 5 V.
// What fused kernels do not move is not counted: of short heads the rotation (small_attention.h),
// of heads of 64 the turning back and, over up to 1,024 positions, all but the writing of turned
// rows (wide_heads.h); of narrow layers normalised rows and hidden units (mlp.h, norm_linear.h),
// which leaves forward 14 D (norm and QKV 4 D, the step through the ffn 4 D) and backward 21 D (9 D
// of these two), at width 128 (sliced_mlp.h) 29 D + 6 F, as what the matrices' gradients are made
// of is written and read once; at width 256 (streamed_mlp.h) 45 D + 6 F, less 5 D from a layer to
// the next one's norm and map and 2 D to the norm behind the last; of narrow readouts the logits
// (linear_loss.h), of which 2 V + D are left at width 256 (streamed_loss.h) and 3 V + 4 D above
// (powers_loss.h). Per parameter 42 bytes: fp32 weight, moments and gradient through AdamW (28) and
// its bf16 copy (2), the norm (4), the gradient's writing (4), and the copy's two readings (4).
std::optional<double> step_bytes(const GpuCase& c);

}  // namespace rung
