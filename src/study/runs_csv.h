// runs.csv: one line a run and member, the table that laws are fitted to. Letters are those of
// docs/architecture.md: N without embedding table, D target tokens, C of this run alone from step
// 0, L nats per held-out token.
#pragma once
#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "train/run.h"

namespace rung {

struct RunRecord {
  std::string run;  // folder of the run
  int64_t member = 0;
  std::string kind;           // sweep, ladder, rollout or target
  std::string status = "ok";  // ok or diverged
  bool used = true;           // enters fits
  int64_t width = 0, depth = 0, context = 0, vocabulary = 0;
  std::string mixer, ffn, parametrisation, optimizer, precision;
  uint64_t seed = 0;
  double lr = 0.0, weight_decay = 0.0;
  int64_t batch_tokens = 0, steps = 0;
  int64_t branch_step = 0;  // where the cooldown left the trunk
  int64_t N = 0, N_total = 0, N_embedding = 0, N_readout = 0, N_active = 0;
  int64_t D = 0, D_unique = 0;
  double C = 0.0, C_6ND = 0.0;
  double L = NAN, L_se = NAN, seed_sd = NAN;
  double bits_per_byte = NAN;  // NaN: not text
  double L_unigram = NAN;      // L less the unigrams' loss, nats per token (Tao et al. 2024)
  double seconds = NAN;        // an equal share of its population's, so that a column can be summed
};

// Calls visit(column, field) for every column, in the order of the file.
template <class Record, class Visitor>
void visit_record(Record& r, Visitor&& visit) {
  visit("run", r.run), visit("member", r.member), visit("kind", r.kind), visit("status", r.status);
  visit("used", r.used), visit("width", r.width), visit("depth", r.depth);
  visit("context", r.context), visit("vocabulary", r.vocabulary), visit("mixer", r.mixer);
  visit("ffn", r.ffn), visit("parametrisation", r.parametrisation);
  visit("optimizer", r.optimizer), visit("precision", r.precision), visit("seed", r.seed);
  visit("lr", r.lr), visit("weight_decay", r.weight_decay), visit("batch_tokens", r.batch_tokens);
  visit("steps", r.steps), visit("branch_step", r.branch_step), visit("N", r.N);
  visit("N_total", r.N_total), visit("N_embedding", r.N_embedding);
  visit("N_readout", r.N_readout), visit("N_active", r.N_active), visit("D", r.D);
  visit("D_unique", r.D_unique), visit("C", r.C), visit("C_6ND", r.C_6ND), visit("L", r.L);
  visit("L_se", r.L_se), visit("seed_sd", r.seed_sd), visit("bits_per_byte", r.bits_per_byte);
  visit("L_unigram", r.L_unigram), visit("seconds", r.seconds);
}

// What a run is before it is trained: parts, counts and C for `schedule.steps` steps. Only names,
// losses and seconds are left open. `source` bounds D_unique. Fails (usage) on impossible shapes.
RunRecord plan_record(const RunConfig& config, const Schedule& schedule, const TokenSource& source);

// plan_record with a member's outcome. The schedule is that of the finish.
RunRecord make_record(const MemberResult& result, const Schedule& schedule,
                      const TokenSource& source, const HeldOut& held_out);

// All that a run is trained with but its seed, whether the table has a column for it or not: seeds
// of one point have equal texts.
std::string point_text(const RunConfig& config);

// Sets seed_sd where at least two records are seeds of one point and ended at the same step.
// `points`: point_text of each record's configuration.
void fill_seed_sd(std::span<RunRecord> records, std::span<const std::string> points);

// The whole table as text. Numbers read back identically; an empty cell is NaN.
std::string to_csv(std::span<const RunRecord> records);
// Columns by name: unknown ones are ignored, absent ones keep their defaults. Fails, naming `where`
// and the line.
std::vector<RunRecord> from_csv(const std::string& text, const std::string& where);

// The same as files; what they fail with names the path.
void write_runs(const std::filesystem::path& path, std::span<const RunRecord> records);
std::vector<RunRecord> read_runs(const std::filesystem::path& path);

}  // namespace rung
