// Roles and tensors: what a parametrisation is keyed by, and what the arena is laid out from.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/quantiser.h"
#include "core/random.h"

namespace rung {

// router: width in and a fixed number out, such as scores of a mixture's experts. lora_a, lora_b:
// the factors of an adapter, width to rank and rank to width. channel: a fixed number of weights
// for each channel or head, such as depthwise filters and the constants of a recurrence.
enum class Role { embedding, hidden, readout, tied, gain, bias, router, lora_a, lora_b, channel };
std::string_view role_name(Role role);

struct TensorSpec;
// The value at initialisation of element `index`; `random` is a stream of that element alone.
using Start = std::function<double(const TensorSpec&, int64_t index, Random& random)>;

// One tensor of one member; shapes leave out the member axis. Matrices are [out, in].
struct TensorSpec {
  std::string name;  // stable: the checkpoint's name
  Role role = Role::hidden;
  std::vector<int64_t> shape;
  int64_t fan_in = 1;       // embedding: 1; matrices: in
  int64_t fan_out = 1;      // embedding: width
  int layer = -1;           // block that holds it; -1 outside the residual stack
  bool counts_in_N = true;  // false for embedding tables: no token multiplies by them
  // Extra factor on B that the architecture prescribes (0: zero init).
  double init_std_factor = 1.0;
  double active = 1.0;  // share that one token multiplies by (mixtures of experts)
  // Share of the elements that training may move; the others, drawn once, stay zero. Counted in
  // `active` by whoever sets it.
  double density = 1.0;
  std::vector<int64_t> parts;  // rows of the maps that a matrix fuses; empty: it is one
  bool ternary = false;        // read by ternary_linear (ops/ternary.h)
  bool ternary_norm = true;    // and normalises its input itself
  // What linear() multiplies in (ops/quantised_linear.h); null: as things are.
  std::shared_ptr<const MapFormats> formats = nullptr;
  Start start;             // an architecture's own initialisation, instead of the role's
  bool decays = true;      // false: no weight decay, whatever the rule says
  bool of_a_head = false;  // one vector for all heads of a layer, whose gradients add up in it
  // Stays as it was drawn: it has no gradient, no moments, and no decay.
  bool frozen = false;
  int64_t size() const;
};

}  // namespace rung
