// The audit tables of all parametrisations against factors derived by hand, at five shapes: what
// `rung audit` prints of a whole decoder, not the rules' functions alone.
#include "study/audit.h"

#include <doctest/doctest.h>

#include <cmath>

#include "scaling/parametrisation.h"
#include "study/audit_factors.h"

using namespace rung;
using namespace rung::by_hand;

namespace {

bool names(const char* rules, std::string_view rule) {
  return (' ' + std::string(rules) + ' ').find(' ' + std::string(rule) + ' ') != std::string::npos;
}

RunConfig shaped(std::string_view rule, int64_t width, int64_t depth) {
  RunConfig config;
  config.parametrisation = rule;
  config.model.width = width;
  config.model.depth = depth;
  config.model.norm_gain = true;
  if (rule == "mus") config.model.norm_place = "after";
  return config;
}

Json audit(const RunConfig& config) {
  return audit_json(config, 64);
}

const Json& tensor_of(const Json& audit, std::string_view name) {
  for (const Json& tensor : audit.at("tensors"))
    if (tensor.at("name") == name) return tensor;
  FAIL("no tensor ", name);
  return audit;
}

void same(const Json& got, double want) {
  CHECK(got.get<double>() == doctest::Approx(want).epsilon(1e-12));
}

const Depth& depth_of(std::string_view rule) {
  for (const Depth& depth : depths)
    if (depth.rule == rule) return depth;
  FAIL("no line for ", rule);
  return depths[0];
}

void check_unit_scaling(const char* rule, size_t i) {
  const int64_t batches[] = {512, 1024, 2048, 4096, 32768};
  const auto [width, depth] = shapes[i];
  RunConfig config = shaped(rule, width, depth);
  config.train.batch_tokens = batches[i];
  const double w = static_cast<double>(width), b = static_cast<double>(batches[i]);
  const Json table = audit(config);
  const auto check = [&](const char* name, double input, double weight) {
    same(tensor_of(table, name).at("A_input"), input);
    same(tensor_of(table, name).at("A_weight"), weight);
  };
  check("embedding", 1.0, std::sqrt(64.0 / b));
  check("blocks.0.mixer.qkv", 1.0 / std::sqrt(w), 1.0 / std::sqrt(b));
  check("blocks.0.ffn.down", 1.0 / std::sqrt(3.0 * w), 1.0 / std::sqrt(b));
  check("blocks.0.ffn_norm", 1.0, 1.0 / std::sqrt(b));
  check("readout", 1.0 / 8.0, 1.0 / std::sqrt(b));
  // With alphas of 1, tau_j = (depth + j)^-1/2 for branch j.
  const Json& block = table.at("multipliers");
  double j = 0.0;
  for (const Json& residual : block.at("residual")) {
    const double before = static_cast<double>(depth) + j;
    same(residual.at("branch"), 1.0 / std::sqrt(before + 1.0));
    same(residual.at("skip"), std::sqrt(before / (before + 1.0)));
    j += 1.0;
  }
  for (const Json& ffn : block.at("ffn"))
    same(ffn.at("activation").at("forward"), std::pow(2.0, 0.75));
  // alpha = 1 / (1 + 4 d / m^2), with heads of d = width / 4; m is sqrt(d) for logits of q.k /
  // sqrt(d). 128 tokens.
  const double alpha = std::string_view(rule) == "umup" ? 1.0 / (1.0 + w) : 1.0 / 5.0;
  same(block.at("attention_output").at("forward"),
       std::pow(128.0 / std::log(128.0), 0.5 * (1.0 - alpha)));
  same(block.at("loss_gradient"), 64.0 / std::sqrt(63.0) * b);
}

}  // namespace

TEST_CASE("audit tables of every parametrisation are those derived by hand, at five shapes") {
  for (const Parametrisation& rule : parametrisations())
    for (const auto& [width, depth] : shapes) {
      CAPTURE(rule.name);
      CAPTURE(width);
      const double m = static_cast<double>(width) / 64.0, deep = static_cast<double>(depth) / 4.0;
      const Depth& by = depth_of(rule.name);
      const Json table = audit(shaped(rule.name, width, depth));
      int found = 0;
      for (const Line& line : lines) {
        if (!names(line.rules, rule.name)) continue;
        CAPTURE(line.tensor);
        const Json& t = tensor_of(table, line.tensor);
        const bool inside = std::string_view(line.tensor).starts_with("blocks");
        const double l = inside ? deep : 1.0;
        same(t.at("A"), line.base.A * std::pow(m, -line.exponents.A));
        same(t.at("B"), line.base.B * std::pow(m, -line.exponents.B));
        same(t.at("C"), line.base.C * std::pow(m, -line.exponents.C) * std::pow(l, -by.C));
        same(t.at("epsilon"),
             line.base.epsilon * std::pow(m, -line.exponents.epsilon) * std::pow(l, -by.epsilon));
        same(t.at("decay"), 1.0);
        ++found;
      }
      CHECK(found == 6);
      const Json& block = table.at("multipliers");
      same(block.at("attention_logit"), by.logit_base * std::pow(m, -by.logit));
      if (names("umup unit-scaling mus", rule.name)) continue;  // shares of a sum
      for (const Json& residual : block.at("residual")) {
        same(residual.at("skip"), 1.0);
        same(residual.at("branch"), std::pow(deep, -by.branch));
      }
    }
}

TEST_CASE("audit of unit scaling: gradient factors, residual stream, activations, five shapes") {
  for (const char* rule : {"umup", "unit-scaling"})
    for (size_t i = 0; i < std::size(shapes); ++i) check_unit_scaling(rule, i);
}

TEST_CASE("audit of SuPar over densities and of Complete(d)P over batch and tokens, five shapes") {
  const double densities[] = {1.0, 0.5, 0.25, 1.0 / 16, 1.0 / 64};
  const std::pair<int64_t, int64_t> runs[] = {
      {2048, 1'000'000}, {8192, 1'000'000}, {2048, 4'000'000}, {512, 16'000'000}, {32768, 250'000}};
  for (size_t i = 0; i < std::size(shapes); ++i) {
    const auto [width, depth] = shapes[i];
    const double w = static_cast<double>(width), m = w / 64.0, rho = densities[i];
    RunConfig sparse = shaped("supar", width, depth);
    sparse.model.density = rho;
    const Json supar = audit(sparse);
    same(tensor_of(supar, "blocks.0.mixer.qkv").at("B"), 1.0 / std::sqrt(w * rho));
    same(tensor_of(supar, "blocks.0.mixer.qkv").at("C"), 1.0 / (m * rho));
    same(tensor_of(supar, "blocks.0.ffn.down").at("B"), 1.0 / std::sqrt(3.0 * w * rho));
    same(tensor_of(supar, "readout").at("A"), 1.0 / m);
    same(tensor_of(supar, "embedding").at("C"), 1.0);

    RunConfig longer = shaped("completedp", width, depth);
    longer.base_batch_tokens = 2048;
    longer.base_tokens = 1'000'000;
    longer.train.batch_tokens = runs[i].first;
    longer.train.tokens = runs[i].second;
    const double deep = static_cast<double>(depth) / 4.0;
    const double times =
        static_cast<double>(runs[i].first) / 2048.0 * 1e6 / static_cast<double>(runs[i].second);
    const Json completedp = audit(longer);
    const auto check = [&](const char* name, double C, double epsilon) {
      const Json& t = tensor_of(completedp, name);
      same(t.at("C"), C * std::sqrt(times));
      same(t.at("decay"), times);
      same(t.at("epsilon"), epsilon / std::sqrt(times));
    };
    check("embedding", 1.0, 1.0 / m);
    check("blocks.0.mixer.qkv", 1.0 / m, 1.0 / (m * deep));
    check("blocks.0.mixer_norm", 1.0, 1.0 / (m * deep));
    check("readout", 1.0 / m, 1.0);
    same(completedp.at("multipliers").at("beta"), times);
  }
}

TEST_CASE("audit under Muon: hidden A C = sqrt(max(1, out / in)), all else Adam's, five shapes") {
  for (const Parametrisation& rule : parametrisations()) {
    if (rule.name == "completedp") continue;  // its batch and token rules are Adam's: refused
    for (const auto& [width, depth] : shapes) {
      CAPTURE(rule.name);
      RunConfig config = shaped(rule.name, width, depth);
      const Json adam = audit(config);
      config.train.optimizer = "muon";
      const Json muon = audit(config);
      const auto effect = [&](const char* name) {
        const Json& t = tensor_of(muon, name);
        return t.at("A").get<double>() * t.at("C").get<double>();
      };
      same(effect("blocks.0.mixer.qkv"), std::sqrt(3.0));  // one matrix of three maps
      same(effect("blocks.0.mixer.out"), 1.0);
      same(effect("blocks.0.ffn.gate_up"), std::sqrt(6.0));
      same(effect("blocks.0.ffn.down"), 1.0);
      for (const char* name : {"embedding", "blocks.0.mixer_norm", "readout"})
        CHECK(tensor_of(muon, name) == tensor_of(adam, name));
    }
  }
}

TEST_CASE(
    "audit of QK-norm: epsilon of a gain of all heads follows the heads' size, not the width") {
  for (const auto& [width, depth] : shapes) {
    const double m = static_cast<double>(width) / 64.0, deep = static_cast<double>(depth) / 4.0;
    for (const char* rule : {"mup", "mfp", "mup-table9", "completep", "completedp"}) {
      CAPTURE(rule);
      const double d = depth_of(rule).epsilon;
      RunConfig config = shaped(rule, width, depth);
      config.model.qk_norm = true;
      const auto epsilon = [&](const char* name) {
        return tensor_of(audit(config), name).at("epsilon");
      };
      same(epsilon("blocks.0.mixer.k_norm"), std::pow(deep, -d) / m);  // heads of width / 4
      config.model.head_dim = 16;
      same(epsilon("blocks.0.mixer.q_norm"), std::pow(deep, -d));
      same(epsilon("blocks.0.mixer_norm"), std::pow(deep, -d) / m);
      config.model.qk_norm_over = "width";
      same(epsilon("blocks.0.mixer.q_norm"), std::pow(deep, -d) / m);
      config.model.qk_norm_over = "head";
      if (rule != std::string_view("mup")) continue;
      config.train.optimizer = "sgd";
      same(tensor_of(audit(config), "blocks.0.mixer.q_norm").at("C"), 1.0);
    }
  }
}
