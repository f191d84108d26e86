// rung generate: text from a trained run, as it is sampled.
#include "model/generate.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>

#include "cli/interrupt.h"
#include "cli/torch/run_options.h"
#include "core/error.h"

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

// Logits of the token after `tokens`, of which those that the cache has not seen are read. Beyond
// the context only a recurrent model goes on; others read its last tokens anew.
std::vector<float> next_logits(OpenRun& run, const std::vector<int32_t>& tokens, Cache& cache) {
  const auto context = static_cast<size_t>(run.config.model.context);
  const bool cached = tokens.size() <= context || is_recurrent(run.population->decoder);
  const size_t length = cached ? tokens.size() - static_cast<size_t>(cache.time) : context;
  at::Tensor window = at::empty({1, 1, static_cast<int64_t>(length)}, at::kLong);
  std::copy(tokens.end() - static_cast<std::ptrdiff_t>(length), tokens.end(),
            window.mutable_data_ptr<int64_t>());
  const at::Tensor logits =
      run.population->logits(0, window.to(run.machine.device), cached ? &cache : nullptr);
  const at::Tensor last = logits.select(2, static_cast<int64_t>(length) - 1)
                              .reshape({-1})
                              .to(at::kCPU, at::kFloat)
                              .contiguous();
  const float* data = last.const_data_ptr<float>();
  return {data, data + last.numel()};
}

Sampling read_sampling(const Arguments& arguments) {
  const Sampling sampling{.temperature = arguments.number("--temperature"),
                          .top_k = arguments.integer("--top-k")};
  if (!(sampling.temperature >= 0.0))
    fail_usage("[generate] --temperature is not negative. Received {}.", sampling.temperature);
  if (sampling.top_k < 0)
    fail_usage("[generate] --top-k is not negative. Received {}.", sampling.top_k);
  return sampling;
}

int run(const Arguments& arguments) {
  const Sampling sampling = read_sampling(arguments);
  const int64_t wanted = arguments.integer("--tokens");
  if (wanted < 1 || wanted > 10'000'000)
    fail_usage("[generate] --tokens is at least 1. Received {}.", wanted);
  OpenRun opened = open_named_run(arguments);
  const std::string prompt = arguments.text("--prompt");
  std::vector<int32_t> tokens = opened.source->encode(prompt);
  // Nothing yet: a document begins after the separator of the one before.
  if (tokens.empty()) tokens.push_back(opened.source->describe().value("separator", 0));
  const size_t prompt_tokens = tokens.size();
  Random random(static_cast<uint64_t>(arguments.integer("--seed")), "generate");
  arguments.out->text(prompt);
  std::string text;
  size_t shown = 0;
  Cache cache;
  const auto start = std::chrono::steady_clock::now();
  while (static_cast<int64_t>(tokens.size() - prompt_tokens) < wanted && !arguments.interrupted()) {
    tokens.push_back(sample_token(next_logits(opened, tokens, cache), sampling, random));
    text = opened.source->decode(std::span(tokens).subspan(prompt_tokens));
    const size_t ready = std::max(shown, whole_characters(text));
    arguments.out->text(text.substr(shown, ready - shown));
    shown = ready;
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const size_t made = tokens.size() - prompt_tokens;
  const double rate = static_cast<double>(made) / seconds;
  if (arguments.json)
    arguments.out->result({{"prompt", prompt},
                           {"text", text},
                           {"tokens", made},
                           {"seconds", seconds},
                           {"tokens_per_second", rate}},
                          "");
  else
    arguments.out->text(text.substr(shown) + "\n");
  arguments.out->note(fmt::format("{} tokens in {:.2f} s, {:.1f} tok/s", made, seconds, rate));
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
         {.name = "--seed", .help = "of the draws", .default_text = "1"}}),
    .run = run};

}  // namespace rung
