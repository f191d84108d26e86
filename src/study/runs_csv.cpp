#include "study/runs_csv.h"

#include <map>
#include <numbers>
#include <type_traits>

#include "config/resolve.h"
#include "core/error.h"
#include "core/files.h"
#include "core/number.h"
#include "core/table.h"
#include "scaling/count.h"

namespace rung {
namespace {

template <class T>
std::string cell_of(const T& field) {
  if constexpr (std::is_same_v<T, std::string>)
    return field;
  else if constexpr (std::is_same_v<T, bool>)
    return field ? "1" : "0";
  else if constexpr (std::is_same_v<T, double>)
    return std::isfinite(field) ? number_text(field) : "";
  else
    return fmt::format("{}", field);
}

template <class T>
void read_cell(T& field, const std::string& text, const std::string& column,
               const std::string& where) {
  if constexpr (std::is_same_v<T, std::string>) {
    field = text;
  } else if constexpr (std::is_same_v<T, double>) {
    if (text.empty()) {
      field = NAN;
      return;
    }
    const auto number = parse_number(text);
    if (!number) fail("[runs] {} has no number in column {}. Received {}.", where, column, text);
    field = *number;
  } else if constexpr (std::is_same_v<T, bool>) {
    field = text != "0" && text != "false" && text != "no";
  } else {
    const size_t from = text.starts_with('-') ? 1 : 0;
    const bool digits = text.size() > from && text.size() < from + 20 &&
                        text.find_first_not_of("0123456789", from) == std::string::npos &&
                        (from == 0 || std::is_signed_v<T>);
    if (!digits)
      fail("[runs] {} has no whole number in column {}. Received {}.", where, column, text);
    if constexpr (std::is_signed_v<T>)
      field = static_cast<T>(std::strtoll(text.c_str(), nullptr, 10));
    else
      field = static_cast<T>(std::strtoull(text.c_str(), nullptr, 10));
  }
}

}  // namespace

RunRecord plan_record(const RunConfig& config, const Schedule& schedule,
                      const TokenSource& source) {
  const Decoder decoder = make_decoder(config, source.vocabulary());
  const Counts counts = count(decoder.layout.tensors);
  const int64_t context = config.model.context, tokens = schedule.steps * config.train.batch_tokens;
  const int64_t windows = source.sequences(context);
  const int64_t distinct = windows > INT64_MAX / context ? INT64_MAX : windows * context;
  RunRecord r;
  r.width = config.model.width, r.depth = config.model.depth, r.context = context;
  r.vocabulary = source.vocabulary();
  r.mixer = config.model.pattern.empty() ? config.model.mixer : config.model.pattern;
  r.ffn = config.model.ffn_pattern.empty() ? config.model.ffn : config.model.ffn_pattern;
  r.parametrisation = config.parametrisation;
  r.optimizer = config.train.optimizer, r.precision = config.precision, r.seed = config.seed;
  r.lr = config.train.lr, r.weight_decay = config.train.weight_decay;
  r.batch_tokens = config.train.batch_tokens, r.steps = schedule.steps;
  r.branch_step = schedule.trunk();
  r.N = counts.N, r.N_total = counts.N_total, r.N_embedding = counts.N_embedding;
  r.N_readout = counts.N_readout, r.N_active = counts.N_active;
  r.D = tokens, r.D_unique = std::min(tokens, distinct);
  const double sequences = static_cast<double>(tokens) / static_cast<double>(context);
  r.C = training_flops(decoder, context) * sequences;
  r.C_6ND = flops_6nd(r.N, r.D);
  return r;
}

RunRecord make_record(const MemberResult& result, const Schedule& schedule,
                      const TokenSource& source, const HeldOut& held_out) {
  RunRecord r = plan_record(result.config, schedule, source);
  const bool ok = result.status == MemberStatus::running && std::isfinite(result.loss);
  r.status = ok ? "ok" : "diverged";
  r.used = ok;
  if (!ok) return r;
  r.L = result.loss, r.L_se = result.standard_error;
  if (held_out.bytes_per_token > 0.0)
    r.bits_per_byte = r.L / std::numbers::ln2 / held_out.bytes_per_token;
  r.L_unigram = r.L - held_out.unigram_loss;
  return r;
}

std::string point_text(const RunConfig& config) {
  Json json = to_json(config);
  json.erase("seed");
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void fill_seed_sd(std::span<RunRecord> records, std::span<const std::string> points) {
  std::map<std::string, std::vector<RunRecord*>> seeds;
  for (size_t i = 0; i < records.size(); ++i) {
    RunRecord& r = records[i];
    if (std::isfinite(r.L))
      seeds[fmt::format("{} {} {} {}", r.kind, r.steps, r.branch_step, points[i])].push_back(&r);
  }
  for (const auto& [key, members] : seeds) {
    if (members.size() < 2) continue;
    const double n = static_cast<double>(members.size());
    double mean = 0.0, squares = 0.0;
    for (const RunRecord* r : members) mean += r->L / n;
    for (const RunRecord* r : members) squares += (r->L - mean) * (r->L - mean);
    for (RunRecord* r : members) r->seed_sd = std::sqrt(squares / (n - 1.0));
  }
}

std::string to_csv(std::span<const RunRecord> records) {
  TableRow head;
  RunRecord empty;
  visit_record(empty, [&](const char* column, auto&) { head.emplace_back(column); });
  std::string text = csv_line(head);
  for (const RunRecord& record : records) {
    TableRow row;
    visit_record(record, [&](const char*, const auto& field) { row.push_back(cell_of(field)); });
    text += csv_line(row);
  }
  return text;
}

std::vector<RunRecord> from_csv(const std::string& text, const std::string& where) {
  const std::vector<TableRow> rows = read_csv(text, where);
  if (rows.empty()) fail("[runs] {} is empty. Received no header.", where);
  std::vector<RunRecord> records;
  for (size_t i = 1; i < rows.size(); ++i) {
    const std::string line = fmt::format("{}, line {},", where, i + 1);
    if (rows[i].size() != rows[0].size())
      fail("[runs] {} has {} cells where the header has {}.", line, rows[i].size(), rows[0].size());
    RunRecord record;
    visit_record(record, [&](const char* column, auto& field) {
      const auto at = std::find(rows[0].begin(), rows[0].end(), column);
      if (at != rows[0].end())
        read_cell(field, rows[i][static_cast<size_t>(at - rows[0].begin())], column, line);
    });
    records.push_back(std::move(record));
  }
  return records;
}

void write_runs(const fs::path& path, std::span<const RunRecord> records) {
  write_file(path, to_csv(records));
}

std::vector<RunRecord> read_runs(const fs::path& path) {
  return from_csv(read_file(path), path.string());
}

}  // namespace rung
