// The stored tables that the multi-start study perturbs, and how each is fitted. Several tables of
// one case (the ninety fine-tuning curves) take turns.
#pragma once
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "law/fit.h"
#include "law/procedure.h"
#include "law/procedures/vocabulary.h"
#include "law/schedule.h"

namespace rung {

struct Case {
  std::string label;
  FitOptions options;
  std::vector<Table> tables;
};

// Loss over the sizes of a fine-tuning set, one table a model; no data (D = 0) are no point.
inline std::vector<Table> rectified_curves(const std::string& folder) {
  std::vector<Table> curves;
  for (const char* task : {"flan", "gigaword", "wmt19"}) {
    const Table file = read_table(folder + task + ".csv");
    for (size_t row = 0; row < file.rows; ++row) {
      std::vector<double> sizes, losses;
      for (const Column& column : file.columns) {
        if (column.name.find_first_not_of("0123456789") != std::string::npos || column.name == "0")
          continue;
        sizes.push_back(std::stod(column.name));
        losses.push_back(column.values[row]);
      }
      Table curve{.source = task};
      curve.add("D", sizes);
      curve.add("L", losses);
      curves.push_back(std::move(curve));
    }
  }
  return curves;
}

// The derived points of a procedure's quantity, as fit_procedure fits them.
inline Table derived_points(const Table& table, const FitOptions& options, std::string_view law) {
  const Procedure& procedure = *find_procedure(options.law);
  const RawRows rows = read_rows(table, procedure, options);
  for (DerivedPart& part : procedure.derive(rows, read_settings(procedure, options)).parts) {
    if (part.law->name != law) continue;
    for (Column& column : part.points.columns)
      for (const auto& [input, name] : part.columns)
        if (column.name == name) column.name = input;
    return part.points;
  }
  return {};
}

// Approach 3 with the thousands that the authors' script passes to f(V): their 1,054 rows.
inline Table vocabulary_points(const std::string& path) {
  const Table data = read_table(path);
  const auto column = [&](const char* name) { return data.find(name)->values; };
  const auto body = column("Non_vocab_parameters"), entries = column("vocab_size"),
             width = column("embed_dim"), characters = column("num_characters"),
             flops = column("FLOPs"), loss = column("Lossu");
  Table points;
  std::vector<double> n, v, d, l;
  for (size_t i = 0; i < data.rows; ++i) {
    if (flops[i] < 2.18e17) continue;
    n.push_back(body[i]);
    v.push_back(entries[i] * width[i]);
    d.push_back(characters[i] * Compression{}(entries[i] / 1000));
    l.push_back(loss[i]);
  }
  points.add("Nnv", n);
  points.add("Nv", v);
  points.add("D", d);
  points.add("L_u", l);
  return points;
}

// The three training runs of a size that its authors fit; their learning rates stand in the files
// but for the warm-up, which `schedules` gives.
inline std::vector<Table> learning_curves(const std::string& folder) {
  const std::vector<std::string> runs = {"cosine_24000", "constant_24000", "wsdcon_9"};
  std::vector<Table> tables;
  for (const std::string& run : runs) tables.push_back(read_table(folder + run + ".csv"));
  return {join_runs(tables, runs)};
}

inline std::shared_ptr<const Table> learning_rates() {
  return std::make_shared<const Table>(
      parse_table("run,step,lr,shape\n"
                  "constant_24000,0,0,linear\nconstant_24000,2159,3e-4,hold\n"
                  "constant_24000,24000,3e-4,\n"
                  "cosine_24000,0,0,linear\ncosine_24000,2159,3e-4,hold\n"
                  "cosine_24000,2160,3e-4,cosine\ncosine_24000,24000,3e-5,\n"
                  "wsdcon_9,0,0,linear\nwsdcon_9,2159,3e-4,hold\nwsdcon_9,8000,9e-5,hold\n"
                  "wsdcon_9,16000,9e-5,\n",
                  TableFormat::csv, "schedules"));
}

// Cases whose tables stand in one file each.
inline void add_files(const std::string& shipped, const std::string& shared,
                      std::vector<Case>& list) {
  const auto add = [&](const char* label, const std::string& file, const FitOptions& options) {
    if (std::filesystem::exists(file)) list.push_back({label, options, {read_table(file)}});
  };
  const std::string epoch = shipped + "chinchilla-epoch/points.csv";
  const std::string kyo = shipped + "chinchilla-kyo/df.csv";
  add("Epoch, 240 rows", epoch, {.where = "loss < 3.44"});
  add("Epoch, 245 rows", epoch, {});
  add("kyo", kyo, {});
  add("kyo, asymmetric", kyo, {.objective = "mae-asymmetric"});
  add("kyo, least squares", kyo, {.objective = "least-squares"});
  add("kyo along C, power", kyo, {.law = "power"});
  add("kyo along C, broken power", kyo, {.law = "broken-power"});
  add("OLMo ladder, 16 rows", shared + "/olmo-ladder/ladder_c4_loss_derived.csv",
      {.columns = {{"L", "c4_loss_last5avg"}}, .where = "split == 'train'"});
  add("step law cells", shared + "/step-law/dense_lr_bs_loss.csv", {.where = "loss < 3.5"});
  const std::string repeated = shipped + "data-constrained/points.csv";
  const FitOptions free_base{.law = "data-constrained"};
  FitOptions base = free_base;
  base.fixed = {{"E", std::exp(0.6254804)},
                {"A", std::exp(6.255414)},
                {"B", std::exp(7.3049974)},
                {"alpha", 0.3526596},
                {"beta", 0.3526596}};
  add("repeated data, base held", repeated, base);
  add("repeated data", repeated, free_base);
  add("over-training, 5 runs", shipped + "overtraining/points.csv",
      {.law = "overtraining",
       .columns = {{"L", "c4_loss"}},
       .where =
           "dataset == 'rpj' and N < 5e8 and (multiplier == 1 or (multiplier == 16 and N < 2e7))"});
  add("routing, S-Base and dense", shipped + "routing/sbase_dense.csv", {.law = "routing"});
  add("Gemstones, hot", shipped + "gemstones/hot.csv", {.law = "width-depth"});
  add("Gemstones, cooled", shipped + "gemstones/cooldown.csv", {.law = "width-depth"});
  add("Gemstones, cooled, with N", shipped + "gemstones/cooldown.csv", {.law = "width-depth-size"});
}

inline std::vector<Case> cases(const std::string& shared) {
  const std::string shipped = "tests/law/data/";
  std::vector<Case> list;
  add_files(shipped, shared, list);
  list.push_back({"fine-tuning, 90 curves",
                  {.law = "rectified", .objective = "least-squares"},
                  rectified_curves(shipped + "rectified/")});
  list.push_back({"critical batches",
                  {.law = "critical-batch.cbs"},
                  {derived_points(read_table(shipped + "critical-batch/cbs_steps_derived.csv"),
                                  {.law = "critical-batch"}, "critical-batch.cbs")}});
  if (const std::string file = shared + "/vocab/exp_data.csv"; std::filesystem::exists(file))
    list.push_back(
        {"vocabulary, approach 3", {.law = "vocabulary-3.L_u"}, {vocabulary_points(file)}});
  for (const char* size : {"25", "100", "400"}) {
    const std::string folder = fmt::format("{}/multi-power/loss_curve_repo/csv_{}/", shared, size);
    if (!std::filesystem::exists(folder)) continue;
    list.push_back({fmt::format("learning curves, {}M", size),
                    {.law = "multi-power", .schedules = learning_rates()},
                    learning_curves(folder)});
  }
  return list;
}

}  // namespace rung
