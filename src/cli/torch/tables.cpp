// rung mixers, ffns, optimizers, formats, presets: the tables of parts, one line each.
#include "cli/verb.h"
#include "config/preset.h"
#include "core/table.h"
#include "model/part.h"
#include "optim/optimizer.h"

namespace rung {
namespace {

struct Format {
  std::string_view name, summary;
};
constexpr std::array formats{
    Format{"fp64", "compute and masters in fp64, on plain twins (CPU)"},
    Format{"fp32", "compute and masters in fp32 (CPU, CUDA)"},
    Format{"bf16", "compute in bf16, masters and moments in fp32 (CUDA)"},
    Format{"fp8", "bf16, and the products of blocks in E4M3 and E5M2 with static scales (Hopper)"},
};

template <class Table>
int print_table(const Arguments& arguments, const char* key, const Table& table) {
  Json list = Json::array();
  std::vector<TableRow> rows;
  for (const auto& entry : table) {
    list.push_back({{"name", entry.name}, {"summary", entry.summary}});
    rows.push_back({std::string(entry.name), std::string(entry.summary)});
  }
  arguments.out->result({{key, list}}, text_table({"name", "what"}, rows));
  return 0;
}

}  // namespace

extern const Verb mixers_verb, ffns_verb, optimizers_verb, formats_verb, presets_verb;
const Verb mixers_verb{
    .name = "mixers",
    .group = "tables",
    .summary = "list the sequence-mixing halves of a block",
    .example = "rung mixers",
    .run = [](const Arguments& a) { return print_table(a, "mixers", mixers()); }};
const Verb ffns_verb{.name = "ffns",
                     .group = "tables",
                     .summary = "list the channel-mixing halves of a block",
                     .example = "rung ffns",
                     .run = [](const Arguments& a) { return print_table(a, "ffns", ffns()); }};
const Verb optimizers_verb{
    .name = "optimizers",
    .group = "tables",
    .summary = "list the optimizers",
    .example = "rung optimizers",
    .run = [](const Arguments& a) { return print_table(a, "optimizers", optimizers()); }};
const Verb formats_verb{
    .name = "formats",
    .group = "tables",
    .summary = "list the number formats that runs compute in",
    .example = "rung formats",
    .run = [](const Arguments& a) { return print_table(a, "formats", formats); }};
const Verb presets_verb{
    .name = "presets",
    .group = "tables",
    .summary = "list the published blocks for --set preset=NAME",
    .example = "rung presets",
    .run = [](const Arguments& a) { return print_table(a, "presets", presets()); }};

}  // namespace rung
