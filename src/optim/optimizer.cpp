#include "optim/optimizer.h"

#include "config/resolve.h"
#include "core/error.h"
#include "optim/adamw.h"

namespace rung {
namespace {

constexpr std::array optimizer_table{
    Optimizer{"adamw", "Adam with fully independent weight decay (Loshchilov & Hutter 2019)",
              adamw_state, adamw_step}};

}  // namespace

std::span<const Optimizer> optimizers() {
  return optimizer_table;
}

const Optimizer& find_optimizer(std::string_view name) {
  std::vector<std::string> names;
  for (const Optimizer& optimizer : optimizer_table) {
    if (optimizer.name == name) return optimizer;
    names.emplace_back(optimizer.name);
  }
  fail_usage("[optimizer] No optimizer is called '{}'. Did you mean '{}'?", name,
             nearest(std::string(name), names));
}

}  // namespace rung
