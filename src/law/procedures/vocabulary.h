// What the three vocabulary procedures share: the tokenizer's compression and the checks of units.
#pragma once
#include "law/procedure.h"

namespace rung {

// Tokens per character f(V) = a ln^2 V + b ln V + c, V in entries (never thousands), constant from
// `largest` on. Source: Tao et al. 2024, section 3.1.
struct Compression {
  double a = 0.00639222, b = -0.15811069, c = 1.20470122, largest = 200'000;
  double operator()(double vocabulary) const;
  double slope(double vocabulary) const;  // df/dV
};
Compression compression_of(const Settings& settings);

constexpr ProcedureSetting compression_settings[] = {
    {"f_a", "of ln^2 V in the tokens per character", 0.00639222},
    {"f_b", "of ln V in it", -0.15811069},
    {"f_c", "constant in it", 1.20470122},
    {"f_largest", "V beyond which it stays", 200'000},
};

constexpr std::string_view body_names[] = {"Non_vocab_parameters", "N"};
constexpr std::string_view vocabulary_names[] = {"vocab_size", "vocabulary", "vocab"};
constexpr std::string_view width_names[] = {"embed_dim", "width"};
constexpr std::string_view character_names[] = {"num_characters", "characters"};
constexpr std::string_view flops_names[] = {"FLOPs", "C"};
constexpr std::string_view loss_names[] = {"Lossu", "L_unigram", "lossu"};
constexpr RawColumn vocabulary_columns[] = {
    {.name = "Nnv", .aliases = body_names},
    {.name = "V", .aliases = vocabulary_names},
    {.name = "d", .optional = true, .aliases = width_names},
    {.name = "H", .aliases = character_names},
    {.name = "F", .optional = true, .aliases = flops_names},
    {.name = "L_u", .kind = ColumnKind::real, .aliases = loss_names},
};

// The authors' width of a model with so many non-vocabulary parameters.
double width_of(double non_vocabulary);

// Rows with V in entries, H in characters, Nnv in parameters, d in dimensions: adds the refusal
// `units` when V looks like thousands, or when a column F contradicts 6 (Nnv + V d) H f(V).
void check_units(const RawRows& rows, const Compression& f, Derivation& derivation);

}  // namespace rung
