#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "support/source_dir.h"

std::string rung::source_dir() {
  return RUNG_SOURCE_DIR;
}
