// Every width rule against exponents derived by hand, at five shapes. The numbers are written down,
// not computed: A = base m^-a, B = base m^-b, C = base m^-c, epsilon = base m^-g.
#include "specs.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Exponents {
  double a, b, c, g;
};
struct Row {
  const char *rule, *optimizer, *alignment;
  Exponents embedding, hidden, readout, gain;
};

// clang-format off
const Row table[] = {
  {"standard",   "adamw",       "full",   {0, 0, 0, .5},      {0, .5, 1, .5},   {0, .5, 1, 0},     {0, 0, 0, .5}},
  {"standard",   "adamw",       "none",   {0, 0, 0, .5},      {0, .5, .5, .5},  {0, .5, .5, 0},    {0, 0, 0, .5}},
  {"standard",   "adamw",       "global", {0, 0, 0, 0},       {0, .5, 0, 0},    {0, .5, 0, 0},     {0, 0, 0, 0}},
  {"standard",   "adam-atan2",  "full",   {0, 0, 0, .5},      {0, .5, 1, .5},   {0, .5, 1, 0},     {0, 0, 0, .5}},
  {"standard",   "sgd",         "full",   {0, 0, -.5, .5},    {0, .5, .5, .5},  {0, .5, 1, 0},     {0, 0, -.5, .5}},
  {"standard",   "sgd",         "none",   {0, 0, -.5, .5},    {0, .5, 0, .5},   {0, .5, .5, 0},    {0, 0, -.5, .5}},
  {"standard",   "sgd",         "global", {0, 0, 0, 0},       {0, .5, 0, 0},    {0, .5, 0, 0},     {0, 0, 0, 0}},
  {"standard",   "adam-scaled", "full",   {0, 0, 0, .5},      {0, .5, .5, .5},  {0, .5, .5, 0},    {0, 0, 0, .5}},
  {"standard",   "adam-scaled", "none",   {0, 0, 0, .5},      {0, .5, 0, .5},   {0, .5, 0, 0},     {0, 0, 0, .5}},
  {"ntk",        "adamw",       "full",   {0, 0, 0, .5},      {.5, 0, .5, 1},   {.5, 0, .5, .5},   {0, 0, 0, .5}},
  {"ntk",        "adamw",       "none",   {0, 0, 0, .5},      {.5, 0, 0, 1},    {.5, 0, 0, .5},    {0, 0, 0, .5}},
  {"ntk",        "adamw",       "global", {0, 0, 0, .5},      {.5, 0, 0, 1},    {.5, 0, 0, .5},    {0, 0, 0, .5}},
  {"ntk",        "sgd",         "full",   {0, 0, -.5, .5},    {.5, 0, -.5, 1},  {.5, 0, 0, .5},    {0, 0, -.5, .5}},
  {"ntk",        "adam-scaled", "full",   {0, 0, 0, .5},      {.5, 0, .5, 1},   {.5, 0, .5, .5},   {0, 0, 0, .5}},
  {"ntk",        "adam-scaled", "none",   {0, 0, 0, .5},      {.5, 0, 0, 1},    {.5, 0, 0, .5},    {0, 0, 0, .5}},
  {"mup",        "adamw",       "full",   {0, 0, 0, 1},       {0, .5, 1, 1},    {1, 0, 0, 1},      {0, 0, 0, 1}},
  {"mup",        "adamw",       "none",   {0, 0, 0, 1},       {0, .5, .5, 1},   {1, 0, -.5, 1},    {0, 0, 0, 1}},
  {"mup",        "adamw",       "global", {0, 0, 0, 1},       {0, .5, 0, 1},    {1, 0, 0, 1},      {0, 0, 0, 1}},
  {"mup",        "sgd",         "full",   {0, 0, -1, 1},      {0, .5, 0, 1},    {1, 0, -1, 1},     {0, 0, -1, 1}},
  {"mup",        "adam-scaled", "full",   {0, 0, 0, 1},       {0, .5, .5, 1},   {1, 0, 0, 1},      {0, 0, 0, 1}},
  {"mup-table3", "adamw",       "full",   {0, 0, 0, 1},       {0, .5, 1, 1},    {0, 1, 1, 0},      {0, 0, 0, 1}},
  {"mup-table3", "sgd",         "full",   {0, 0, -1, 1},      {0, .5, 0, 1},    {0, 1, 1, 0},      {0, 0, -1, 1}},
  {"mup-table3", "adam-scaled", "full",   {0, 0, 0, 1},       {0, .5, .5, 1},   {0, 1, 0, 0},      {0, 0, 0, 1}},
  {"mup-table9", "adamw",       "full",   {-.5, .5, .5, .5},  {0, .5, 1, 1},    {.5, .5, .5, .5},  {0, 0, 0, 1}},
  {"mup-table9", "adamw",       "none",   {-.5, .5, .5, .5},  {0, .5, .5, 1},   {.5, .5, 0, .5},   {0, 0, 0, 1}},
  {"mup-table9", "sgd",         "full",   {-.5, .5, 0, .5},   {0, .5, 0, 1},    {.5, .5, 0, .5},   {0, 0, -1, 1}},
  {"mup-table9", "adam-scaled", "none",   {-.5, .5, 0, .5},   {0, .5, 0, 1},    {.5, .5, -.5, .5}, {0, 0, 0, 1}},
  {"mfp",        "adamw",       "full",   {0, 0, 0, 1},       {.5, 0, .5, 1.5}, {1, 0, 0, 1},      {0, 0, 0, 1}},
  {"mfp",        "adamw",       "none",   {0, 0, 0, 1},       {.5, 0, 0, 1.5},  {1, 0, -.5, 1},    {0, 0, 0, 1}},
  {"mfp",        "sgd",         "full",   {0, 0, -1, 1},      {.5, 0, -1, 1.5}, {1, 0, -1, 1},     {0, 0, -1, 1}},
  {"mfp",        "adam-scaled", "full",   {0, 0, 0, 1},       {.5, 0, .5, 1.5}, {1, 0, 0, 1},      {0, 0, 0, 1}},
};
// clang-format on

constexpr std::pair<int64_t, int64_t> shapes[] = {
    {64, 4}, {128, 2}, {256, 8}, {1024, 16}, {4096, 64}};

// base: A, B, C and epsilon at m = 1.
void check_role(const Row& row, const TensorSpec& tensor, const Exponents& e, const Dims& d,
                const std::array<double, 4>& base) {
  const double m = static_cast<double>(d.width) / 64.0;
  const Factors f = factors(row.rule, tensor, d, row.alignment);
  CAPTURE(tensor.name);
  const auto same = [](double got, double want) {
    CHECK(got == doctest::Approx(want).epsilon(1e-9));
  };
  same(f.A, base[0] * std::pow(m, -e.a));
  same(f.B, base[1] * std::pow(m, -e.b));
  same(f.C, base[2] * std::pow(m, -e.c));
  same(f.epsilon, base[3] * std::pow(m, -e.g));
  CHECK(f.decay == 1.0);
}

// Rules whose weights start at 1 carry the base's fan_in^-1/2 in A and epsilon, and undo it in C:
// once for steps of fixed size, twice for steps like the gradient, never for steps like the weight.
std::array<double, 4> matrix_base(const Row& row, double base_fan_in) {
  const double t = 1.0 / std::sqrt(base_fan_in);
  const std::string rule = row.rule, optimizer = row.optimizer;
  if (rule != "ntk" && rule != "mfp") return {1.0, t, 1.0, 1.0};
  return {t, 1.0, optimizer == "sgd" ? base_fan_in : optimizer == "adam-scaled" ? 1.0 : 1.0 / t, t};
}

}  // namespace

TEST_CASE("width rules have the exponents that theory derives, at five shapes") {
  for (const Row& row : table)
    for (const auto& [width, depth] : shapes) {
      CAPTURE(row.rule);
      CAPTURE(row.optimizer);
      CAPTURE(row.alignment);
      CAPTURE(width);
      const Dims d = dims(width, depth, row.optimizer);
      check_role(row, spec(Role::embedding, 1, width), row.embedding, d, {1, 1, 1, 1});
      check_role(row, spec(Role::hidden, width, 3 * width, 0), row.hidden, d, matrix_base(row, 64));
      check_role(row, spec(Role::hidden, 3 * width, width, 1), row.hidden, d,
                 matrix_base(row, 192));
      check_role(row, spec(Role::readout, width, 256), row.readout, d, matrix_base(row, 64));
      check_role(row, spec(Role::router, width, 8, 1), row.readout, d, matrix_base(row, 64));
      check_role(row, spec(Role::gain, 1, width, 0), row.gain, d, {1, 0, 1, 1});
      check_role(row, spec(Role::bias, 1, width), row.gain, d, {1, 0, 1, 1});
    }
}

TEST_CASE("Adam's LR exponents follow from a and the alignment, SGD's from c and g") {
  // The identities behind the table: c = 1 - a or 1/2 - a; SGD c - g; parameter scaling c - b.
  for (const Row& row : table) {
    const std::string alignment = row.alignment, optimizer = row.optimizer;
    if (alignment == "global") continue;
    const double reach = alignment == "full" ? 1.0 : 0.5;
    for (const Exponents& e : {row.hidden, row.readout}) {
      const double minus = optimizer == "sgd" ? e.g : optimizer == "adam-scaled" ? e.b : 0.0;
      CHECK(e.c == doctest::Approx(reach - e.a - minus));
    }
  }
}

TEST_CASE("tied matrices keep an embedding's B and the readout's growth") {
  for (const auto& [width, depth] : shapes) {
    const double w = static_cast<double>(width), m = w / 64.0;
    const Dims d = dims(width, depth);
    const TensorSpec tied = spec(Role::tied, width, 256), as_listed = spec(Role::tied, 1, width);
    for (const char* rule : {"standard", "ntk"})
      check(factors(rule, tied, d, "full"), 1.0 / std::sqrt(w), 1, 1, 1.0 / std::sqrt(m));
    for (const char* rule : {"mup", "mup-table3", "mup-table9", "mfp"}) {
      check(factors(rule, tied, d), 1.0 / (m * 8.0), 1, 1, 1.0 / m);
      check_same(factors(rule, tied, d), factors(rule, as_listed, d));
    }
    check(factors("umup", tied, d), 1.0 / w, 1, 1.0 / std::sqrt(w));
    CHECK(factors("mup", tied, dims(width, depth, "sgd")).C == doctest::Approx(m));
  }
}

TEST_CASE("adapters: the map down learns as a hidden matrix, the map up as an embedding (LoRA+)") {
  for (const auto& [width, depth] : shapes) {
    const double w = static_cast<double>(width), m = w / 64.0;
    const TensorSpec down = spec(Role::lora_a, width, 16, 0), up = spec(Role::lora_b, 16, width, 0);
    for (const char* rule : {"mup", "mup-table9", "mfp"}) {
      check(factors(rule, down, dims(width, depth)), 1, 1.0 / std::sqrt(w), 1.0 / m, 1);
      check(factors(rule, up, dims(width, depth)), 0.25, 0, 1, 1.0 / m);
    }
  }
  CHECK(error_of([] { factors("umup", spec(Role::lora_a, 64, 8, 0), dims(64)); }).find("lora-a") !=
        std::string::npos);
}
