// rung eval: a trained run's loss on held-out text.
#include <cmath>
#include <numbers>

#include "cli/torch/run_options.h"
#include "cli/torch/setup.h"
#include "core/error.h"
#include "core/files.h"

namespace rung {
namespace {

int run_eval(const Arguments& arguments) {
  OpenRequest request{.reads_text = true};
  if (arguments.has("--data")) request.data_path = absolute_data_path(arguments.text("--data"));
  if (arguments.has("--held-out")) {
    request.held_out = arguments.number("--held-out");
    if (!(request.held_out > 0.0 && request.held_out <= 1.0))
      fail_usage("[eval] --held-out lies above 0 and at most at 1. Received {}.", request.held_out);
  }
  const OpenRun opened = open_named_run(arguments, request);
  const int64_t wanted =
      arguments.has("--tokens") ? arguments.integer("--tokens") : opened.config.train.eval_tokens;
  if (wanted < opened.config.model.context)
    fail_usage("[eval] --tokens is at least one context of {}. Received {}.",
               opened.config.model.context, wanted);
  const HeldOut held_out = opened.source->held_out(opened.config.model.context, wanted);
  const Evaluation evaluation = opened.population->evaluate(held_out).front();
  if (!std::isfinite(evaluation.loss))
    fail("[eval] The loss of {} is not a number: the run diverged.", opened.folder.string());
  const double bits = held_out.bytes_per_token > 0.0
                          ? evaluation.loss / std::numbers::ln2 / held_out.bytes_per_token
                          : NAN;
  const int64_t tokens = held_out.windows() * held_out.context;
  std::string text =
      fmt::format("loss {:.4f} +- {:.4f} nats a token", evaluation.loss, evaluation.standard_error);
  if (std::isfinite(bits)) text += fmt::format(", {:.4f} bits a byte", bits);
  const int64_t all = opened.source->describe().value("held_out_tokens", tokens);
  text += fmt::format(" on {}{} held-out tokens (step {})", tokens,
                      all > tokens + held_out.context ? fmt::format(" of {}", all) : "",
                      opened.population->step);
  arguments.out->result({{"loss", evaluation.loss},
                         {"L_se", json_number(evaluation.standard_error)},
                         {"bits_per_byte", json_number(bits)},
                         {"unigram_loss", json_number(held_out.unigram_loss)},
                         {"entropy", json_number(held_out.entropy)},
                         {"tokens", tokens},
                         {"held_out_sha256", held_out.sha256},
                         {"step", opened.population->step},
                         {"member", arguments.integer("--member")},
                         {"data", opened.source->describe().value("path", "")},
                         {"run", opened.folder.string()}},
                        text);
  return 0;
}

}  // namespace

extern const Verb eval_verb;
const Verb eval_verb{
    .name = "eval",
    .group = "runs",
    .summary = "a trained run's loss on held-out text",
    .example = "rung eval runs/first --data other.txt --held-out 1",
    .options = with_run_options(
        {{.name = "--data",
          .help = "text to evaluate on; absent: the run's own held-out documents"},
         {.name = "--held-out",
          .help = "share of the text's documents to read, chosen by content; 1: all of them; "
                  "absent: as trained"},
         {.name = "--tokens",
          .help = "most held-out tokens, spread evenly; absent: as trained (train.eval_tokens)"}}),
    .run = run_eval};

}  // namespace rung
