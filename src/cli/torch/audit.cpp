// rung audit: every tensor of a configuration with its role, dimensions and factors.
#include "study/audit.h"

#include "cli/torch/setup.h"
#include "core/error.h"
#include "core/table.h"
#include "data/synthetic.h"

namespace rung {
namespace {

// Without reading text where the configuration says it.
int64_t vocabulary_of(const DataConfig& data, Sources& sources) {
  if (data.path == "synthetic" || data.path.starts_with("synthetic:"))
    return parse_synthetic(data.path).vocabulary;
  if (data.tokenizer == "bytes") return 256;
  if (data.tokenizer == "bpe" || data.tokenizer == "unigram") return data.vocabulary;
  return sources.open(data)->vocabulary();
}

int run_audit(const Arguments& arguments) {
  Sources sources;
  const RunConfig config = read_one(arguments, "audit");
  const Json audit = audit_json(config, vocabulary_of(config.data, sources));
  std::vector<TableRow> rows;
  for (const Json& t : audit.at("tensors")) {
    TableRow row{t.at("name").get<std::string>(), t.at("role").get<std::string>(),
                 fmt::format("{}", t.at("fan_in").get<int64_t>()),
                 fmt::format("{}", t.at("fan_out").get<int64_t>())};
    for (const char* key : {"A", "B", "C", "decay", "epsilon"})
      row.push_back(fmt::format("{:.4g}", t.at(key).get<double>()));
    rows.push_back(std::move(row));
  }
  const std::string text =
      fmt::format("{} at width {}, depth {}: N {}, stored {}, {:.4g} training FLOPs a token\n\n",
                  config.parametrisation, config.model.width, config.model.depth,
                  audit.at("N").get<int64_t>(), audit.at("N_total").get<int64_t>(),
                  audit.at("flops_per_token").get<double>()) +
      text_table({"tensor", "role", "in", "out", "A", "B", "C", "decay", "eps"}, rows) +
      "in and out are fans; A multiplies the product, B is the deviation at the start,\n"
      "C multiplies train.lr, decay and eps multiply train's.\n";
  arguments.out->result(audit, text);
  return 0;
}

}  // namespace

extern const Verb audit_verb;
const Verb audit_verb{.name = "audit",
                      .group = "tools",
                      .summary = "every tensor's role, dimensions, multiplier, init, LR and decay",
                      .example = "rung audit --set parametrisation=mup model.width=256",
                      .options = config_options(),
                      .run = run_audit};

}  // namespace rung
