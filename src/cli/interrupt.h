// SIGINT, SIGTERM and SIGHUP: the first asks long work to save and stop; a SIGINT after it, a
// second Ctrl-C, ends the program at once.
#pragma once

namespace rung {

// Called once, before a verb begins.
void catch_interrupts();
// True once a signal came; long verbs poll this through Arguments::interrupted.
bool interrupted();
// 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP, 0 before any: what an interrupted verb
// returns.
int interrupt_status();

}  // namespace rung
