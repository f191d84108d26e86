// rung-law: the verbs that read and write files only. Users type `rung`, so that is its name here.
#include "cli/verb.h"

int main(int argc, char** argv) {
  return rung::run_program(argc, argv, "rung", rung::law_verbs());
}
