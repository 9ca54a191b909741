// Signals that Node and Python both handle: sigaction.
#include "../common/signals.hpp"

#include <array>
#include <atomic>
#include <csignal>

#include "../common/interrupts.hpp"
#include "python_thread.hpp"

namespace torchbed {
namespace {

using Action = struct sigaction;

/// Both handlers of one signal. A signal handler reads it: written once its fields are whole, never freed.
struct Shared {
  Action node;
  Action python;
};

constexpr int kSignals = 65;

/// What was there before Python changed it, for the thread with the GIL.
std::array<Action, kSignals> held{};

std::array<std::atomic<const Shared*>, kSignals> shared{};

/// Signals on their way to Python's thread: the thread that they came to has called Node's handler.
std::array<std::atomic<bool>, kSignals> forwarded{};

bool is_handler(const Action& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 ||
         (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

void call(const Action& action, int number, siginfo_t* info, void* context) {
  if (!is_handler(action)) return;
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(number, info, context);
  } else {
    action.sa_handler(number);
  }
}

/// Any thread, at any moment. The system gives a signal of the process to any thread, to Node's main thread first:
/// Python's own must have it, or what that waits for would go on.
void on_signal(int number, siginfo_t* info, void* context) {
  const auto index = static_cast<std::size_t>(number);
  const Shared* both = shared[index].load(std::memory_order_acquire);
  if (both == nullptr) return;
  if (is_python_thread()) {
    if (!forwarded[index].exchange(false)) call(both->node, number, info, context);
    call(both->python, number, info, context);
    return;
  }
  call(both->node, number, info, context);
  forwarded[index].store(true);
  if (!signal_python_thread(number)) call(both->python, number, info, context);
}

bool is_ours(const Action& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_signal;
}

/// Signals whose default action ends the process, which is what a user expects of them.
bool ends_process(int number) {
  return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

bool is_known(int number) { return number > 0 && number < kSignals; }

}  // namespace

void hold_signal(int number) {
  if (!is_known(number)) return;
  const auto index = static_cast<std::size_t>(number);
  Action now{};
  if (sigaction(number, nullptr, &now) != 0) return;
  const Shared* both = shared[index].load(std::memory_order_acquire);
  held[index] = is_ours(now) && both != nullptr ? both->node : now;
}

void share_signal(int number) {
  if (!is_known(number)) return;
  const auto index = static_cast<std::size_t>(number);
  const Action& node = held[index];
  Action python{};
  if (sigaction(number, nullptr, &python) != 0 || is_ours(python)) return;
  if (!is_handler(python)) {
    if (is_handler(node) || ends_process(number)) sigaction(number, &node, nullptr);
    return;
  }
  if (!is_handler(node) && ends_process(number)) {
    sigaction(number, &node, nullptr);
    return;
  }
  // Left to the process on purpose: a signal may be reading the one before.
  shared[index].store(new Shared{node, python}, std::memory_order_release);
  Action chain = is_handler(node) ? node : python;
  // A wait that begins anew by itself would keep Python's handler from running.
  chain.sa_flags = (chain.sa_flags | SA_SIGINFO | SA_ONSTACK) & ~SA_RESTART;
  chain.sa_sigaction = on_signal;
  sigaction(number, &chain, nullptr);
}

}  // namespace torchbed
