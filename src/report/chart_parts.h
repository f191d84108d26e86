// Pieces that every plot's JSON is put together from.
#pragma once
#include "core/json.h"

namespace rung {

// format: power, pow2, count, loss, percent, plain or number (axes.js).
inline Json axis(const char* title, bool log, const char* format) {
  return {{"title", title}, {"log", log}, {"format", format}};
}

inline Json new_chart(const char* id, const char* label, Json x, Json y) {
  return {{"id", id}, {"label", label}, {"x", x}, {"y", y}, {"series", Json::array()}};
}

// A series without points is left out.
inline void push_series(Json& chart, Json series) {
  if (!series["data"].empty()) chart["series"].push_back(std::move(series));
}

// Place of series i of `count` on the page's scale of shades, in [0, 1].
inline double shade_of(size_t i, size_t count) {
  return count > 1 ? static_cast<double>(i) / static_cast<double>(count - 1) : 0.5;
}

// Null for a plot that has no series.
inline Json or_null(Json chart) {
  return chart["series"].empty() ? Json() : chart;
}

}  // namespace rung
