// Every part that sequences or channels are mixed by, in the captured step: fp32 on the GPU against
// the CPU, bf16 against fp32, and the same bits twice.
#ifdef RUNG_CUDA
#include <exception>
#include <functional>

#include "support/gpu_runs.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Variant {
  const char* name;
  std::function<void(RunConfig&)> set;
  std::vector<const char*> rules = {"standard", "umup"};
};

const std::vector<Variant> attention_options{
    {"window", [](RunConfig& c) { c.model.window = 9; }},
    {"window, local and global",
     [](RunConfig& c) {
       c.model.window = 9, c.model.windows = "local, global", c.model.kv_heads = 2;
     }},
    {"caps", [](RunConfig& c) { c.model.attention_cap = 5.0, c.model.logit_cap = 4.0; }},
    {"biases",
     [](RunConfig& c) {
       c.model.attention_bias = "all", c.model.ffn_bias = true;
       c.model.norm_bias = true, c.model.norm = "layernorm";
     }},
    {"norms on both sides", [](RunConfig& c) { c.model.norm_place = "both"; }},
    {"QK-norm", [](RunConfig& c) { c.model.qk_norm = true; }},
    {"QK-norm over the width",
     [](RunConfig& c) { c.model.qk_norm = true, c.model.qk_norm_over = "width"; }},
    {"learned positions", [](RunConfig& c) { c.model.position = "learned"; }},
    {"CoPE", [](RunConfig& c) { c.model.position = "cope", c.model.cope_positions = 8; }},
};

const std::vector<Variant> recurrent_mixers{
    {"mamba2", [](RunConfig& c) { c.model.mixer = "mamba2"; }},
    {"mamba2, two groups",
     [](RunConfig& c) { c.model.mixer = "mamba2", c.model.ssm_groups = 2, c.model.ssm_chunk = 7; }},
    {"mlstm", [](RunConfig& c) { c.model.mixer = "mlstm", c.model.ssm_chunk = 8; }},
    {"mlstm-large", [](RunConfig& c) { c.model.mixer = "mlstm-large"; }},
    {"slstm", [](RunConfig& c) { c.model.mixer = "slstm"; }},
};

const std::vector<Variant> patterns{
    {"hybrid", [](RunConfig& c) { c.model.pattern = "mamba2, attention"; }},
    {"mlstm and slstm with its ffn",
     [](RunConfig& c) { c.model.pattern = "mlstm, slstm", c.model.ffn_pattern = "none, geglu"; }},
};

// An expert that two devices' rounding choose differently is a step's worth of difference.
const std::vector<Variant> sparse_ffns{
    {"moe", [](RunConfig& c) { c.model.ffn = "moe", c.model.moe_experts = 6; }},
    {"moe, one of all and a shared one",
     [](RunConfig& c) {
       c.model.ffn = "moe", c.model.moe_experts = 4, c.model.moe_top_k = 1;
       c.model.moe_gates = "all", c.model.moe_shared = 1;
     }},
    {"peer",
     [](RunConfig& c) {
       c.model.ffn = "peer", c.model.peer_experts = 64, c.model.peer_heads = 2;
       c.model.peer_top_k = 4, c.model.peer_shared = 8;
     }},
};

// A code that two roundings choose differently moves a product by a part in 127: in fp32 and fp64
// on the CPU these curves part by up to 1.4 %, their first losses by 1e-6.
const std::vector<Variant> ternary_maps{
    {"bitnet", [](RunConfig& c) { c.model.linear = "bitnet"; }},
    {"MatMul-free", [](RunConfig& c) { c.model.linear = "bitnet", c.model.mixer = "mlgru"; }},
    {"bitnet between norms",
     [](RunConfig& c) {
       c.model.linear = "ternary", c.model.sub_norm = true, c.model.ffn = "reglu2";
     }},
};

const std::vector<Variant> other_parts{
    {"mlgru", [](RunConfig& c) { c.model.mixer = "mlgru"; }},
    {"geglu", [](RunConfig& c) { c.model.ffn = "geglu"; }},
    {"reglu2", [](RunConfig& c) { c.model.ffn = "reglu2"; }},
    {"gelu", [](RunConfig& c) { c.model.ffn = "gelu"; }},
    {"relu2", [](RunConfig& c) { c.model.ffn = "relu2"; }},
    {"fastfood", [](RunConfig& c) { c.model.ffn = "fastfood"; }},
    {"no ffns", [](RunConfig& c) { c.model.ffn = "none"; }},
};

const std::vector<Variant> kinds{
    {"sas", [](RunConfig& c) { c.model.mixer = "sas"; }, {"standard", "mup"}},
    {"sas-p with values and map learned, no norms",
     [](RunConfig& c) {
       c.model.mixer = "sas-vp", c.model.parallel = true, c.model.norm_place = "none";
       c.model.ffn_gain = 0.1;
     },
     {"standard"}},
    {"parallel", [](RunConfig& c) { c.model.parallel = true; }, {"standard", "mup"}},
    {"ffn gain", [](RunConfig& c) { c.model.ffn_gain = 0.3; }, {"standard", "mup"}},
    {"norms after", [](RunConfig& c) { c.model.norm_place = "after"; }, {"standard", "mus"}},
    {"offset keys", [](RunConfig& c) { c.model.key_offset = true; }},
    {"sparse", [](RunConfig& c) { c.model.density = 0.5; }, {"supar"}},
    {"frozen block", [](RunConfig& c) { c.model.frozen = "block, none"; }},
    {"frozen ffns, no gains",
     [](RunConfig& c) { c.model.frozen = "ffn", c.model.norm_gain = false; }},
    {"three heads", [](RunConfig& c) { c.model.depth = 4, c.model.mtp_heads = 3; }},
    {"two heads of a hybrid, tied",
     [](RunConfig& c) {
       c.model.depth = 3, c.model.mtp_heads = 2, c.model.pattern = "mamba2, attention, attention";
       c.model.tied = true;
     }},
};

// What a failure within a captured step says, in one line.
template <class Body>
void guarded(const Variant& variant, Body&& body) {
  CAPTURE(std::string(variant.name));
  try {
    body();
  } catch (const std::exception& error) {
    const std::string what = error.what();
    FAIL_CHECK(variant.name, ": ", what.substr(0, what.find('\n')));
  }
}

std::vector<RunConfig> configs_of(const Variant& variant, const char* precision, const char* rule,
                                  int count) {
  RunConfig config = small_config(precision, rule);
  variant.set(config);
  return members(config, count);
}

// `first`: of the first step alone, before updates add to what rounding began.
void check_variants(const std::vector<Variant>& variants, double tolerance, double first) {
  for (const Variant& variant : variants)
    for (const char* rule : variant.rules) {
      CAPTURE(std::string(rule));
      guarded(variant, [&] {
        Population host = make(configs_of(variant, "fp32", rule, 2), "cpu");
        Population device = make(configs_of(variant, "fp32", rule, 2), "cuda");
        Population half = make(configs_of(variant, "bf16", rule, 2), "cuda");
        Population again = make(configs_of(variant, "bf16", rule, 2), "cuda");
        const auto want = curve(host, 20), got = curve(device, 20), near = curve(half, 20);
        for (int i = 0; i < 20; ++i) again.advance();
        again.sync();
        CHECK(worst_difference({got[0]}, {want[0]}) < first);
        CHECK(worst_difference(got, want) < tolerance);
        CHECK(worst_difference(near, want) < 0.03);
        CHECK(same_bits(half.weights, again.weights));
        const HeldOut held = ChainSource(24).held_out(32, 3200);
        const auto a = host.evaluate(held), b = device.evaluate(held);
        for (size_t m = 0; m < 2; ++m) {
          CHECK(std::abs(a[m].loss - b[m].loss) < tolerance * a[m].loss);
          REQUIRE(a[m].statistics.size() == b[m].statistics.size());
          for (size_t i = 0; i < a[m].statistics.size(); ++i) {
            CHECK(a[m].statistics[i].name == b[m].statistics[i].name);
            CHECK(std::abs(a[m].statistics[i].value - b[m].statistics[i].value) < 0.05);
          }
        }
      });
    }
}

}  // namespace

TEST_CASE("attention's options train on the GPU as on the CPU") {
  if (no_gpu()) return;
  check_variants(attention_options, 5e-4, 5e-5);
}

TEST_CASE("recurrent mixers train on the GPU as on the CPU") {
  if (no_gpu()) return;
  check_variants(recurrent_mixers, 5e-4, 5e-5);
}

TEST_CASE("patterns of mixers train on the GPU as on the CPU") {
  if (no_gpu()) return;
  check_variants(patterns, 5e-4, 5e-5);
}

TEST_CASE("ternary maps train on the GPU as on the CPU") {
  if (no_gpu()) return;
  check_variants(ternary_maps, 0.03, 1e-4);
}

TEST_CASE("other ffns and MLGRU train on the GPU as on the CPU") {
  if (no_gpu()) return;
  check_variants(other_parts, 5e-4, 5e-5);
}

TEST_CASE("blocks of other kinds, frozen parts and further heads train on the GPU as on the CPU") {
  if (no_gpu()) return;
  check_variants(kinds, 5e-4, 5e-5);
}

TEST_CASE("mixtures and retrievals train on the GPU as on the CPU, and report what they chose") {
  if (no_gpu()) return;
  check_variants(sparse_ffns, 3e-3, 1e-3);
}
#endif
