#include "report/assets.h"

// The assembler copies files into read-only data: no generated source, no escaping, no work for the
// compiler.
#define RUNG_EMBED(name, path)                                                         \
  asm(".pushsection .rodata\n.global rung_" #name "\nrung_" #name ":\n.incbin \"" path \
      "\"\n.global rung_" #name "_end\nrung_" #name "_end:\n.byte 0\n.popsection\n");  \
  extern "C" const char rung_##name[], rung_##name##_end[];

RUNG_EMBED(page_style, RUNG_PAGE_FOLDER "/style.css")
RUNG_EMBED(page_axes, RUNG_PAGE_FOLDER "/axes.js")
RUNG_EMBED(page_script, RUNG_PAGE_FOLDER "/page.js")
#ifdef RUNG_CHART_JS
RUNG_EMBED(plot_library, RUNG_CHART_JS)
#endif

namespace rung {

std::string_view page_style() {
  return {rung_page_style, rung_page_style_end};
}

std::string_view page_axes() {
  return {rung_page_axes, rung_page_axes_end};
}

std::string_view page_script() {
  return {rung_page_script, rung_page_script_end};
}

std::string_view plot_library() {
#ifdef RUNG_CHART_JS
  return {rung_plot_library, rung_plot_library_end};
#else
  return {};
#endif
}

}  // namespace rung
