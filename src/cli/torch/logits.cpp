// rung logits: a trained run's next-token logits for given tokens, for comparison with other
// programs.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstring>

#include "cli/torch/run_options.h"
#include "core/error.h"
#include "core/safetensors.h"

namespace rung {
namespace {

// `tokens` of the file as int64 [B, T], checked against the vocabulary.
at::Tensor read_tokens(const fs::path& path, int64_t vocabulary) {
  const Safetensors file(path);
  const TensorBlock& block = file.at("tokens");
  if (block.dtype != "I64" || block.shape.size() != 2 || block.shape[0] < 1 || block.shape[1] < 1)
    fail("[logits] `tokens` must be int64 of shape [B, T]. Received {} of rank {} in {}.",
         block.dtype, block.shape.size(), path.string());
  const at::Tensor tokens = at::empty(block.shape, at::kLong);
  int64_t* data = tokens.mutable_data_ptr<int64_t>();
  std::memcpy(data, block.bytes.data(), block.bytes.size());
  for (int64_t i = 0; i < tokens.numel(); ++i)
    if (data[i] < 0 || data[i] >= vocabulary)
      fail("[logits] A token lies outside the vocabulary of {}. Received {} in {}.", vocabulary,
           data[i], path.string());
  return tokens;
}

int run_logits(const Arguments& arguments) {
  const OpenRun opened = open_named_run(arguments);
  const int64_t vocabulary = opened.source->vocabulary();
  const at::Tensor tokens = read_tokens(arguments.text("--tokens"), vocabulary);
  const int64_t rows = tokens.size(0), time = tokens.size(1);
  const at::Tensor all = at::empty({rows, time, vocabulary}, at::kFloat);
  for (int64_t row = 0; row < rows; ++row) {
    const at::Tensor one = tokens.narrow(0, row, 1).unsqueeze(0).to(opened.machine.device);
    all.select(0, row).copy_(opened.population->logits(0, one).select(0, 0).select(0, 0));
  }
  const std::string out = arguments.text("--out");
  const TensorBlock block{"logits",
                          "F32",
                          all.sizes().vec(),
                          {static_cast<const std::byte*>(all.const_data_ptr()), all.nbytes()}};
  write_safetensors(out, {&block, 1}, {{"format", "pt"}});
  arguments.out->result({{"out", out}, {"shape", all.sizes().vec()}},
                        fmt::format("logits [{}, {}, {}] in {}", rows, time, vocabulary, out));
  return 0;
}

}  // namespace

extern const Verb logits_verb;
const Verb logits_verb{
    .name = "logits",
    .group = "runs",
    .summary = "write a trained run's logits for given tokens",
    .example = "rung logits runs/first --tokens in.safetensors --out out.safetensors",
    .options = with_run_options(
        {{.name = "--tokens", .help = "safetensors with `tokens`, int64 [B, T]", .required = true},
         {.name = "--out",
          .help = "safetensors that receives `logits`, float32 [B, T, V]",
          .required = true}}),
    .run = run_logits};

}  // namespace rung
