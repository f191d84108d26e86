// Runs from and to Hugging Face folders.
#pragma once
#include <filesystem>
#include <string>

#include "study/open_run.h"

namespace rung {

struct Interchanged {
  std::string family;     // model_type of config.json
  std::string tokenizer;  // what became of it, in words
  int64_t parameters = 0, vocabulary = 0;
};

// Makes a run folder with one checkpoint, at step 0. The folder must not hold a run.
Interchanged import_run(const std::filesystem::path& from, const std::filesystem::path& run,
                        const Machine& machine);

// Writes config.json, model.safetensors and the tokenizer. The folder must not hold a model.
// `packed`: ternary maps in 2 bits a weight.
Interchanged export_run(const OpenRun& run, const std::filesystem::path& folder, bool packed);

}  // namespace rung
