// The stored tables that the multi-start study perturbs, and how each is fitted.
#pragma once
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "law/fit.h"

namespace rung {

struct Case {
  std::string label, file;
  FitOptions options;
};

inline std::vector<Case> cases(const std::string& shared) {
  const std::string shipped = "tests/law/data/";
  std::vector<Case> list = {
      {"Epoch, 240 rows", shipped + "chinchilla-epoch/points.csv", {.where = "loss < 3.44"}},
      {"Epoch, 245 rows", shipped + "chinchilla-epoch/points.csv", {}},
      {"kyo", shipped + "chinchilla-kyo/df.csv", {}},
      {"kyo, asymmetric", shipped + "chinchilla-kyo/df.csv", {.objective = "mae-asymmetric"}},
      {"kyo, least squares", shipped + "chinchilla-kyo/df.csv", {.objective = "least-squares"}},
      {"kyo along C, power", shipped + "chinchilla-kyo/df.csv", {.law = "power"}},
      {"kyo along C, broken power", shipped + "chinchilla-kyo/df.csv", {.law = "broken-power"}},
      {"OLMo ladder, 16 rows",
       shared + "/olmo-ladder/ladder_c4_loss_derived.csv",
       {.columns = {{"L", "c4_loss_last5avg"}}, .where = "split == 'train'"}},
      {"step law cells", shared + "/step-law/dense_lr_bs_loss.csv", {.where = "loss < 3.5"}},
  };
  const FitOptions free_base{.law = "data-constrained"};
  FitOptions base = free_base;
  base.fixed = {{"E", std::exp(0.6254804)},
                {"A", std::exp(6.255414)},
                {"B", std::exp(7.3049974)},
                {"alpha", 0.3526596},
                {"beta", 0.3526596}};
  list.push_back({"repeated data, base held", shipped + "data-constrained/points.csv", base});
  list.push_back({"repeated data", shipped + "data-constrained/points.csv", free_base});
  std::erase_if(list, [](const Case& c) { return !std::filesystem::exists(c.file); });
  return list;
}

}  // namespace rung
