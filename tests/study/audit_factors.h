// Factors of all parametrisations, derived by hand. Base width 64, base depth 4, vocabulary 64;
// m = width / 64, m_L = depth / 4. An entry is base * m^-exponent, for tensors of blocks times
// m_L^-exponent.
#pragma once
#include <cmath>
#include <cstdint>
#include <utility>

namespace rung::by_hand {

inline constexpr std::pair<int64_t, int64_t> shapes[] = {
    {64, 4}, {128, 2}, {256, 8}, {512, 32}, {1024, 1}};

struct Four {
  double A, B, C, epsilon;
};
struct Line {
  const char *rules, *tensor;
  Four base, exponents;
};
// Fan-ins of 64 and 192 at the base.
inline const double s = 1.0 / 8.0, r = 1.0 / std::sqrt(192.0);

// clang-format off
inline const Line lines[] = {
  {"standard",                           "embedding",           {1, 1, 1, 1},        {0, 0, 0, 0}},
  {"standard",                           "blocks.0.mixer.qkv",  {1, s, 1, 1},        {0, .5, 0, 0}},
  {"standard",                           "blocks.0.ffn.down",   {1, r, 1, 1},        {0, .5, 0, 0}},
  {"standard",                           "blocks.0.mixer_norm", {1, 0, 1, 1},        {0, 0, 0, 0}},
  {"standard",                           "final_norm",          {1, 0, 1, 1},        {0, 0, 0, 0}},
  {"standard",                           "readout",             {1, s, 1, 1},        {0, .5, 0, 0}},

  {"ntk",                                "embedding",           {1, 1, 1, 1},        {0, 0, 0, .5}},
  {"ntk",                                "blocks.0.mixer.qkv",  {s, 1, 1 / s, s},    {.5, 0, .5, 1}},
  {"ntk",                                "blocks.0.ffn.down",   {r, 1, 1 / r, r},    {.5, 0, .5, 1}},
  {"ntk",                                "blocks.0.mixer_norm", {1, 0, 1, 1},        {0, 0, 0, .5}},
  {"ntk",                                "final_norm",          {1, 0, 1, 1},        {0, 0, 0, .5}},
  {"ntk",                                "readout",             {s, 1, 1 / s, s},    {.5, 0, .5, .5}},

  {"mup supar depth-mup completep",      "embedding",           {1, 1, 1, 1},        {0, 0, 0, 1}},
  {"mup supar depth-mup completep",      "blocks.0.mixer.qkv",  {1, s, 1, 1},        {0, .5, 1, 1}},
  {"mup supar depth-mup completep",      "blocks.0.ffn.down",   {1, r, 1, 1},        {0, .5, 1, 1}},
  {"mup supar depth-mup completep",      "blocks.0.mixer_norm", {1, 0, 1, 1},        {0, 0, 0, 1}},
  {"mup supar depth-mup completep",      "final_norm",          {1, 0, 1, 1},        {0, 0, 0, 1}},
  {"mup supar depth-mup completep",      "readout",             {1, s, 1, 1},        {1, 0, 0, 1}},

  {"mup-table3 completedp spectral",     "embedding",           {1, 1, 1, 1},        {0, 0, 0, 1}},
  {"mup-table3 completedp spectral",     "blocks.0.mixer.qkv",  {1, s, 1, 1},        {0, .5, 1, 1}},
  {"mup-table3 completedp",              "blocks.0.ffn.down",   {1, r, 1, 1},        {0, .5, 1, 1}},
  {"spectral",                           "blocks.0.ffn.down",   {1, 1 / 24., 1, 1},  {0, .5, 1, 1}},
  {"mup-table3 completedp spectral",     "blocks.0.mixer_norm", {1, 0, 1, 1},        {0, 0, 0, 1}},
  {"mup-table3 completedp spectral",     "final_norm",          {1, 0, 1, 1},        {0, 0, 0, 1}},
  {"mup-table3 completedp spectral",     "readout",             {1, s, 1, 1},        {0, 1, 1, 0}},

  {"mup-table9",                         "embedding",           {1, 1, 1, 1},        {-.5, .5, .5, .5}},
  {"mup-table9",                         "blocks.0.mixer.qkv",  {1, s, 1, 1},        {0, .5, 1, 1}},
  {"mup-table9",                         "blocks.0.ffn.down",   {1, r, 1, 1},        {0, .5, 1, 1}},
  {"mup-table9",                         "blocks.0.mixer_norm", {1, 0, 1, 1},        {0, 0, 0, 1}},
  {"mup-table9",                         "final_norm",          {1, 0, 1, 1},        {0, 0, 0, 1}},
  {"mup-table9",                         "readout",             {1, s, 1, 1},        {.5, .5, .5, .5}},

  {"mfp",                                "embedding",           {1, 1, 1, 1},        {0, 0, 0, 1}},
  {"mfp",                                "blocks.0.mixer.qkv",  {s, 1, 1 / s, s},    {.5, 0, .5, 1.5}},
  {"mfp",                                "blocks.0.ffn.down",   {r, 1, 1 / r, r},    {.5, 0, .5, 1.5}},
  {"mfp",                                "blocks.0.mixer_norm", {1, 0, 1, 1},        {0, 0, 0, 1}},
  {"mfp",                                "final_norm",          {1, 0, 1, 1},        {0, 0, 0, 1}},
  {"mfp",                                "readout",             {s, 1, 1 / s, s},    {1, 0, 0, 1}},

  {"umup",                               "embedding",           {1, 1, s, 1},        {0, 0, .5, 0}},
  {"umup",                               "blocks.0.mixer.qkv",  {s, 1, s / 2, 1},    {.5, 0, .5, 0}},
  {"umup",                               "blocks.0.ffn.down",   {r, 1, r / 2, 1},    {.5, 0, .5, 0}},
  {"umup",                               "blocks.0.mixer_norm", {1, 0, .5, 1},       {0, 0, 0, 0}},
  {"umup",                               "final_norm",          {1, 0, 1, 1},        {0, 0, 0, 0}},
  {"umup",                               "readout",             {1 / 64., 1, 1, 1},  {1, 0, 0, 0}},

  {"unit-scaling",                       "embedding",           {1, 1, 1, 1},        {0, 0, 0, 0}},
  {"unit-scaling",                       "blocks.0.mixer.qkv",  {s, 1, 1, 1},        {.5, 0, 0, 0}},
  {"unit-scaling",                       "blocks.0.ffn.down",   {r, 1, 1, 1},        {.5, 0, 0, 0}},
  {"unit-scaling",                       "blocks.0.mixer_norm", {1, 0, 1, 1},        {0, 0, 0, 0}},
  {"unit-scaling",                       "final_norm",          {1, 0, 1, 1},        {0, 0, 0, 0}},
  {"unit-scaling",                       "readout",             {s, 1, 1, 1},        {.5, 0, 0, 0}},

  {"mus",                                "embedding",           {1, 1, 1, 1},        {0, 0, 0, 0}},
  {"mus",                                "blocks.0.mixer.qkv",  {s, 1, 1, 1},        {.5, 0, .5, 0}},
  {"mus",                                "blocks.0.ffn.down",   {r, 1, 1, 1},        {.5, 0, .5, 0}},
  {"mus",                                "blocks.0.mixer_norm", {1, 0, 1, 1},        {0, 0, 0, 0}},
  {"mus",                                "final_norm",          {1, 0, 1, 1},        {0, 0, 0, 0}},
  {"mus",                                "readout",             {1 / 64., 1, 1, 1},  {1, 0, 0, 0}},
};

// Powers of m_L of blocks, and the attention's logit, which has heads of width / 4.
struct Depth {
  const char* rule;
  double branch, C, epsilon, logit_base, logit;
};
inline const Depth depths[] = {
  {"standard",   0,  0,  0,  1 / 4.,  .5}, {"ntk",        0,  0,  0,  1 / 4.,  .5}, {"mup",        0,  0,  0,  1 / 4.,  1},
  {"mup-table3", 0,  0,  0,  1 / 4.,  1},  {"mup-table9", 0,  0,  0,  1 / 4.,  1},  {"mfp",        0,  0,  0,  1 / 4.,  1},
  {"spectral",   0,  0,  0,  1 / 4.,  1},  {"supar",      0,  0,  0,  1 / 4.,  1},  {"depth-mup",  .5, .5, .5, 1 / 4.,  1},
  {"completep",  1,  0,  1,  1 / 4.,  1},  {"completedp", 1,  0,  1,  1 / 4.,  1},  {"umup",       0,  .5, 0,  1 / 16., 1},
  {"mus",        0,  0,  0,  1 / 4.,  .5}, {"unit-scaling", 0, 0, 0,  1 / 4.,  .5},
};
// clang-format on

}  // namespace rung::by_hand
