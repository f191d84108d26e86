// rung import, rung export: runs from and to Hugging Face folders.
#include "study/interchange.h"

#include "cli/torch/run_options.h"
#include "core/progress.h"

namespace rung {
namespace {

int report_interchange(const Arguments& arguments, const Interchanged& made,
                       const std::string& out) {
  arguments.out->result({{"family", made.family},
                         {"parameters", made.parameters},
                         {"vocabulary", made.vocabulary},
                         {"tokenizer", made.tokenizer},
                         {"out", out}},
                        fmt::format("{}: {} parameters, a vocabulary of {}, tokenizer {}; in {}",
                                    made.family, short_number(static_cast<double>(made.parameters)),
                                    made.vocabulary, made.tokenizer, out));
  return 0;
}

int run_import(const Arguments& arguments) {
  const std::string out = arguments.text("--out");
  return report_interchange(
      arguments, import_run(arguments.text("FOLDER"), out, make_machine("cpu", arguments.threads)),
      out);
}

int run_export(const Arguments& arguments) {
  const std::string out = arguments.text("--out");
  return report_interchange(
      arguments, export_run(open_named_run(arguments), out, arguments.flag("--packed")), out);
}

}  // namespace

extern const Verb import_verb, export_verb;
const Verb import_verb{
    .name = "import",
    .group = "runs",
    .summary = "make a run of a Hugging Face folder (config.json, safetensors)",
    .example = "rung import models/gpt2 --out runs/gpt2",
    .options = {{.name = "FOLDER", .help = "config.json and *.safetensors", .required = true},
                {.name = "--out", .help = "folder that receives the run", .required = true}},
    .run = run_import};
const Verb export_verb{
    .name = "export",
    .group = "runs",
    .summary = "write a run as a Hugging Face folder, multipliers folded into its weights",
    .example = "rung export runs/first --out models/first",
    .options = with_run_options(
        {{.name = "--out", .help = "folder that receives the model", .required = true},
         {.name = "--packed",
          .takes = Takes::flag,
          .help = "ternary maps in 2 bits a weight (BitNet)"}}),
    .run = run_export};

}  // namespace rung
