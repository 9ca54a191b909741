// Signals that Node and Python both handle: Windows has Ctrl-C and Ctrl-Break, which are console events.
#include "../common/signals.hpp"

#include <csignal>

#include "../common/interrupts.hpp"
#include "python_crt.hpp"

namespace torchbed {

void hold_signal(int /*number*/) {}

// Python's C library takes console events for its own as long as it has a handler for them, so that Node's would
// not be called. Its handler cannot be called beside Node's: it is taken back.
void share_signal(int number) {
  if (number != SIGINT && number != SIGBREAK && number != interrupt_signal()) return;
  using Handler = void(__cdecl*)(int);
  const auto set_handler = python_crt<Handler(__cdecl*)(int, Handler)>("signal");
  if (set_handler != nullptr) set_handler(number, SIG_DFL);
}

}  // namespace torchbed
