// The measures that set a climb apart from the obvious one (docs/climb.md). Each can be left out,
// on its own, to see what it brings.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace rung {

struct Measures {
  bool lr_rule = true;     // learning rate swept on this data; else train.lr everywhere
  bool batch_rule = true;  // batch grows as sqrt(D); else one batch for all rungs
  bool regime = true;      // the smallest rungs may be left out where they lie before a bend
  bool offset = true;      // the law has an irreducible loss E; else a pure power
  bool prior = true;       // beliefs on the exponent and on E
  bool rollout = true;     // candidates weighted by how they predict the largest rungs
  bool goodness = true;    // and by how well they fit
  bool noise = true;       // rungs weighted by the scatter of their seeds
  bool seeds = true;       // every seed of a rung counts; else the first alone
};

struct MeasureName {
  std::string_view name, summary;
  bool Measures::*field;
  bool refit;  // concerns the forecast alone: can be left out of a finished climb
};

inline constexpr std::array measure_names = {
    MeasureName{"lr-rule", "train.lr everywhere, no sweeps", &Measures::lr_rule, false},
    MeasureName{"batch-rule", "4,096 tokens a step everywhere", &Measures::batch_rule, false},
    MeasureName{"regime", "all rungs enter the fit", &Measures::regime, true},
    MeasureName{"offset", "pure power law, E = 0", &Measures::offset, true},
    MeasureName{"prior", "no belief on exponent and E", &Measures::prior, true},
    MeasureName{"rollout", "candidates not weighted by rollout", &Measures::rollout, true},
    MeasureName{"goodness", "candidates not weighted by fit", &Measures::goodness, true},
    MeasureName{"noise", "all rungs weigh the same", &Measures::noise, true},
    MeasureName{"seeds", "one seed a rung", &Measures::seeds, true},
};

// All measures but the named ones. Fails (usage) on an unknown name, naming the nearest.
Measures measures_without(const std::vector<std::string>& names);

// Names of what is left out.
std::vector<std::string> left_out(const Measures& measures);

}  // namespace rung
