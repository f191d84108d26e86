// rung generate: text from a trained run, as it is sampled.
#include "model/generate.h"

#include <algorithm>

#include "cli/interrupt.h"
#include "cli/torch/run_options.h"
#include "core/clock.h"
#include "core/error.h"
#include "model/speculate.h"

namespace rung {
namespace {

// The bytes of `text` before an unfinished UTF-8 character at its end.
size_t whole_characters(const std::string& text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (byte < 0x80) break;
    const size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 0;
    if (length > back) return text.size() - back;
    if (length) break;
  }
  return text.size();
}

// Appends what the tokens from `spelt` on add to the text of those behind the prompt. They are
// spelt behind the one before them, as some sources part tokens by blanks; all of the text anew for
// every token would take the square of its length.
void append_text(const TokenSource& source, std::span<const int32_t> tokens, size_t prompt,
                 size_t& spelt, std::string& text) {
  const std::span<const int32_t> made = tokens.subspan(prompt);
  const size_t before = spelt > 0 ? 1 : 0;
  const size_t known = source.decode(made.subspan(spelt - before, before)).size();
  text += source.decode(made.subspan(spelt - before)).substr(known);
  spelt = made.size();
}

Sampling read_sampling(const Arguments& arguments) {
  const Sampling sampling{.temperature = arguments.number("--temperature"),
                          .top_k = arguments.integer("--top-k"),
                          .top_p = arguments.number("--top-p"),
                          .min_p = arguments.number("--min-p")};
  if (!(sampling.temperature >= 0.0))
    fail_usage("[generate] --temperature is not negative. Received {}.", sampling.temperature);
  if (sampling.top_k < 0)
    fail_usage("[generate] --top-k is not negative. Received {}.", sampling.top_k);
  if (!(sampling.top_p > 0.0 && sampling.top_p <= 1.0))
    fail_usage("[generate] --top-p lies above 0 and up to 1. Received {}.", sampling.top_p);
  if (!(sampling.min_p >= 0.0 && sampling.min_p <= 1.0))
    fail_usage("[generate] --min-p lies from 0 to 1. Received {}.", sampling.min_p);
  return sampling;
}

// How a sequence is made: its tokens, and the time that the model and the draws took.
struct Sampler {
  Generation generation;
  Sampling sampling;
  Random random;
  std::vector<int32_t> tokens;
  double seconds = 0.0;

  void extend(int64_t limit) {
    const auto start = Clock::now();
    rung::extend(generation, tokens, limit, [&](std::span<const float> logits) {
      return sample_token(logits, sampling, random);
    });
    seconds += seconds_since(start);
  }
};

Sampler make_sampler(const Arguments& arguments, const Population::Bound& bound, bool speculate,
                     std::vector<int32_t> prompt) {
  return {
      .generation = {.decoder = bound.decoder, .weights = bound.weights, .speculate = speculate},
      .sampling = read_sampling(arguments),
      .random = Random(arguments.seed(), "generate"),
      .tokens = std::move(prompt)};
}

// The first tokens, made again without drafts: how much longer that takes, and whether they are the
// same ones (where two logits are equal up to rounding, they need not be).
struct Comparison {
  size_t tokens = 0;
  double seconds = 0.0;
  bool same = true;
};
Comparison without_drafts(const Arguments& arguments, const Population::Bound& bound,
                          std::span<const int32_t> made, size_t prompt) {
  Sampler plain = make_sampler(arguments, bound, false, {made.begin(), made.begin() + prompt});
  while (plain.tokens.size() < made.size() && !arguments.interrupted()) plain.extend(1);
  return {plain.tokens.size() - prompt, plain.seconds,
          std::equal(plain.tokens.begin(), plain.tokens.end(), made.begin())};
}

constexpr size_t compared_tokens = 256;

// What drafts brought, in words and as JSON. `seconds` passed until the first `compared` tokens
// were there.
std::string drafts_text(const Generation& g, const Comparison& plain, double speedup, Json& json) {
  const double each = 1.0 + static_cast<double>(g.accepted) / static_cast<double>(g.passes);
  json = {{"passes", g.passes},       {"drafted", g.drafted}, {"accepted", g.accepted},
          {"tokens_per_pass", each},  {"speedup", speedup},   {"compared_tokens", plain.tokens},
          {"same_tokens", plain.same}};
  return fmt::format(
      "{:.2f} tokens a pass: {} of {} drafts accepted ({:.0f} %); {:.2f} times the speed without "
      "drafts, {} on the first {} tokens",
      each, g.accepted, g.drafted,
      g.drafted ? 100.0 * static_cast<double>(g.accepted) / static_cast<double>(g.drafted) : 0.0,
      speedup, plain.same ? "with the same text" : "with another text (rounding)", plain.tokens);
}

// Several continuations at once, printed one behind the other when all are there; the first draws
// as a single one does.
int generate_together(const Arguments& arguments, const OpenRun& opened,
                      const Population::Bound& bound, const std::vector<int32_t>& start,
                      int64_t wanted) {
  const auto samples = static_cast<size_t>(arguments.integer("--samples"));
  const Sampling sampling = read_sampling(arguments);
  const uint64_t seed = arguments.seed();
  std::vector<std::vector<int32_t>> sequences(samples, start);
  std::vector<Random> draws;
  for (size_t i = 0; i < samples; ++i)
    draws.push_back(i == 0 ? Random(seed, "generate") : Random(seed, "generate", i));
  Generation generation{.decoder = bound.decoder, .weights = bound.weights};
  const auto begun = Clock::now();
  int64_t made = 0;
  for (; made < wanted && !arguments.interrupted(); ++made)
    extend_together(generation, sequences, [&](size_t i, std::span<const float> logits) {
      return sample_token(logits, sampling, draws[i]);
    });
  const double seconds = seconds_since(begun);
  const auto tokens = made * static_cast<int64_t>(samples);
  const std::string prompt = arguments.text("--prompt");
  Json texts = Json::array();
  std::string shown;
  for (const std::vector<int32_t>& sequence : sequences) {
    texts.push_back(opened.source->decode(std::span(sequence).subspan(start.size())));
    shown += fmt::format("[{}] {}{}\n", texts.size(), prompt, texts.back().get<std::string>());
  }
  const double rate = static_cast<double>(tokens) / seconds;
  if (arguments.json)
    arguments.out->result({{"prompt", prompt},
                           {"texts", texts},
                           {"tokens", tokens},
                           {"seconds", seconds},
                           {"tokens_per_second", rate}},
                          "");
  else
    arguments.out->text(shown);
  arguments.out->note(fmt::format("{} tokens of {} texts in {:.2f} s, {:.1f} tok/s", tokens,
                                  samples, seconds, rate));
  return interrupt_status();
}

int run_generate(const Arguments& arguments) {
  read_sampling(arguments);
  const int64_t wanted = arguments.integer("--tokens"), samples = arguments.integer("--samples");
  if (wanted < 1 || wanted > 10'000'000)
    fail_usage("[generate] --tokens is at least 1. Received {}.", wanted);
  const bool speculate = arguments.has("--speculate");
  if (samples < 1 || samples > 4096)
    fail_usage("[generate] --samples is from 1 to 4096. Received {}.", samples);
  if (samples > 1 && speculate)
    fail_usage("[generate] --speculate drafts for one text. Received --samples {}.", samples);
  OpenRun opened = open_named_run(arguments);
  const Population::Bound bound = opened.population->bound(0);
  if (speculate && bound.decoder.heads.empty())
    fail_usage(
        "[generate] --speculate lets further prediction heads draft. Received a model with "
        "model.mtp_heads = 1.");
  const std::string prompt = arguments.text("--prompt");
  std::vector<int32_t> start = opened.source->encode(prompt);
  // Nothing yet: a document begins after the separator of the one before.
  if (start.empty()) start.push_back(opened.source->describe().value("separator", 0));
  if (samples > 1) return generate_together(arguments, opened, bound, start, wanted);
  const size_t prompt_tokens = start.size();
  arguments.out->text(prompt);
  Sampler sampler = make_sampler(arguments, bound, speculate, std::move(start));
  const auto made = [&] { return sampler.tokens.size() - prompt_tokens; };
  std::string text;
  size_t shown = 0, compared = 0, spelt = 0;
  double compared_seconds = 0.0;
  while (static_cast<int64_t>(made()) < wanted && !arguments.interrupted()) {
    sampler.extend(wanted - static_cast<int64_t>(made()));
    if (compared < compared_tokens) compared = made(), compared_seconds = sampler.seconds;
    append_text(*opened.source, sampler.tokens, prompt_tokens, spelt, text);
    const size_t ready = std::max(shown, whole_characters(text));
    arguments.out->text(text.substr(shown, ready - shown));
    shown = ready;
  }
  const double rate = static_cast<double>(made()) / sampler.seconds;
  Json result{{"prompt", prompt},
              {"text", text},
              {"tokens", made()},
              {"seconds", sampler.seconds},
              {"tokens_per_second", rate}};
  std::string note =
      fmt::format("{} tokens in {:.2f} s, {:.1f} tok/s", made(), sampler.seconds, rate);
  if (speculate && compared > 0) {
    const Comparison plain = without_drafts(
        arguments, bound, std::span(sampler.tokens).first(prompt_tokens + compared), prompt_tokens);
    note += "; " + drafts_text(sampler.generation, plain, plain.seconds / compared_seconds,
                               result["speculate"]);
  }
  if (arguments.json)
    arguments.out->result(result, "");
  else
    arguments.out->text(text.substr(shown) + "\n");
  arguments.out->note(note);
  return interrupt_status();
}

}  // namespace

extern const Verb generate_verb;
const Verb generate_verb{
    .name = "generate",
    .group = "runs",
    .summary = "sample text from a trained run",
    .example = "rung generate runs/first --prompt 'The file' --tokens 200 --temperature 0.8",
    .options = with_run_options(
        {{.name = "--prompt", .help = "text to continue; absent: a new document"},
         {.name = "--tokens", .help = "tokens to make", .default_text = "200"},
         {.name = "--temperature", .help = "0: always the likeliest token", .default_text = "1"},
         {.name = "--top-k", .help = "likeliest tokens to draw from; 0: all", .default_text = "0"},
         {.name = "--top-p",
          .help = "draw from the fewest likeliest tokens whose probabilities reach this",
          .default_text = "1"},
         {.name = "--min-p",
          .help = "draw from tokens at least this share as likely as the likeliest",
          .default_text = "0"},
         {.name = "--samples", .help = "texts to make at once", .default_text = "1"},
         {.name = "--seed", .help = "of the draws", .default_text = "1"},
         {.name = "--speculate",
          .takes = Takes::flag,
          .help = "let the model's further prediction heads draft (model.mtp_heads)"}}),
    .run = run_generate};

}  // namespace rung
