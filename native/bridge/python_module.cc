// The built-in Python module _torchbed_bridge.
#include "python_module.hpp"

#include <array>
#include <chrono>
#include <string>
#include <thread>

#include "../platform/common/interrupts.hpp"
#include "../platform/common/signals.hpp"
#include "interpreter.hpp"
#include "place.hpp"
#include "python.hpp"
#include "python_values.hpp"

namespace torchbed {
namespace {

/// How often it is looked whether the JS thread has taken what was printed before.
constexpr std::chrono::milliseconds kRoomInterval{1};

/// write(stream: int, text: str) -> None. Any Python thread.
PyObject* write(PyObject* /*module*/, PyObject* arguments) {
  int stream = 0;
  PyObject* text = nullptr;
  if (PyArg_ParseTuple(arguments, "iU:write", &stream, &text) == 0) return nullptr;
  if (stream != 1 && stream != 2) {
    PyErr_SetString(PyExc_ValueError, "stream must be 1 (stdout) or 2 (stderr)");
    return nullptr;
  }
  const PyRef raw = PyRef::take(PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
  if (!raw) return nullptr;
  while (!Interpreter::instance().has_room_for_output()) {
    Py_BEGIN_ALLOW_THREADS;
    std::this_thread::sleep_for(kRoomInterval);
    Py_END_ALLOW_THREADS;
    if (PyErr_CheckSignals() != 0) return nullptr;
  }
  Interpreter::instance().write(
      stream, {PyBytes_AsString(raw.get()), static_cast<std::size_t>(PyBytes_Size(raw.get()))});
  Py_RETURN_NONE;
}

/// should_stop() -> bool. True when the running call was asked to stop. Any Python thread.
PyObject* should_stop(PyObject* /*module*/, PyObject* /*arguments*/) {
  return PyBool_FromLong(Interpreter::instance().should_stop() ? 1 : 0);
}

/// interrupt_signal() -> int.
PyObject* signal_of_interrupt(PyObject* /*module*/, PyObject* /*arguments*/) {
  return PyLong_FromLong(interrupt_signal());
}

/// stack_signal() -> int. 0 where there is none.
PyObject* signal_of_stack(PyObject* /*module*/, PyObject* /*arguments*/) {
  return PyLong_FromLong(stack_signal());
}

/// set_stack_pipe(descriptor: int) -> None.
PyObject* stack_pipe(PyObject* /*module*/, PyObject* descriptor) {
  const long number = PyLong_AsLong(descriptor);
  if (number == -1 && PyErr_Occurred() != nullptr) return nullptr;
  set_stack_pipe(static_cast<int>(number));
  Py_RETURN_NONE;
}

/// urgency() -> int. 0: go on; 1: the running call is to end; 2: and the process with it.
PyObject* urgency(PyObject* /*module*/, PyObject* /*arguments*/) {
  return PyLong_FromLong(static_cast<long>(Interpreter::instance().urgency()));
}

/// set_ending(is_ending: bool) -> None.
PyObject* set_ending(PyObject* /*module*/, PyObject* is_ending) {
  Interpreter::instance().set_ending(is_ending == Py_True);
  Py_RETURN_NONE;
}

/// progress(step, total, metrics) -> None. Any Python thread. Raises ValueError for what cannot cross.
PyObject* progress(PyObject* /*module*/, PyObject* arguments) {
  try {
    Interpreter::instance().progress([arguments] { return from_python(arguments); });
  } catch (const ConversionError& error) {
    PyErr_Format(PyExc_ValueError, "%s at %s", error.message.c_str(), error.path.c_str());
    return nullptr;
  } catch (const PythonErrorSet&) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

/// has_urgent() -> bool. Whether a call waits that run_urgent() would run. Any Python thread.
PyObject* has_urgent(PyObject* /*module*/, PyObject* /*arguments*/) {
  return PyBool_FromLong(Interpreter::instance().has_urgent() ? 1 : 0);
}

/// run_urgent() -> None. Runs those calls, each in a dispatch() of its own.
PyObject* run_urgent(PyObject* /*module*/, PyObject* /*arguments*/) {
  Interpreter::instance().yield();
  Py_RETURN_NONE;
}

/// count_models(number: int) -> None.
PyObject* count_models(PyObject* /*module*/, PyObject* number) {
  const long long models = PyLong_AsLongLong(number);
  if (models == -1 && PyErr_Occurred() != nullptr) return nullptr;
  Interpreter::instance().count_models(models);
  Py_RETURN_NONE;
}

/// The signal's number, or -1 with a Python exception set.
int signal_number(PyObject* number) { return static_cast<int>(PyLong_AsLong(number)); }

/// hold_signal(number: int) -> None.
PyObject* hold(PyObject* /*module*/, PyObject* number) {
  const int signal = signal_number(number);
  if (signal == -1 && PyErr_Occurred() != nullptr) return nullptr;
  hold_signal(signal);
  Py_RETURN_NONE;
}

/// share_signal(number: int) -> None.
PyObject* share(PyObject* /*module*/, PyObject* number) {
  const int signal = signal_number(number);
  if (signal == -1 && PyErr_Occurred() != nullptr) return nullptr;
  share_signal(signal);
  Py_RETURN_NONE;
}

std::array<PyMethodDef, 14> methods = {{
    {"write", write, METH_VARARGS, "write(stream, text): hand text to Node (1 stdout, 2 stderr)."},
    {"should_stop", should_stop, METH_NOARGS,
     "should_stop(): whether the running call was asked to stop."},
    {"interrupt_signal", signal_of_interrupt, METH_NOARGS,
     "interrupt_signal(): the signal whose handler ends the running call."},
    {"stack_signal", signal_of_stack, METH_NOARGS,
     "stack_signal(): the signal at which the main thread writes its stack, or 0."},
    {"set_stack_pipe", stack_pipe, METH_O, "set_stack_pipe(descriptor): where that can be read."},
    {"urgency", urgency, METH_NOARGS,
     "urgency(): 1 when the running call is to end, 2 when the process is, 0 otherwise."},
    {"set_ending", set_ending, METH_O, "set_ending(is_ending): whether Cancelled is on its way."},
    {"progress", progress, METH_VARARGS,
     "progress(step, total, metrics): report to the running call's listener."},
    {"has_urgent", has_urgent, METH_NOARGS, "has_urgent(): whether an urgent call waits."},
    {"run_urgent", run_urgent, METH_NOARGS, "run_urgent(): run the urgent calls that wait."},
    {"count_models", count_models, METH_O, "count_models(number): how many models there are."},
    {"hold_signal", hold, METH_O, "hold_signal(number): remember the handler that is there."},
    {"share_signal", share, METH_O, "share_signal(number): call the remembered handler too."},
    {nullptr, nullptr, 0, nullptr},
}};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_torchbed_bridge",
    "What the package torchbed asks of the bridge that embeds this interpreter.",
    -1,
    methods.data(),
    nullptr,
    nullptr,
    nullptr,
    nullptr,
};

}  // namespace

bool add_bridge_module() {
  const PyRef module = PyRef::take(PyModule_Create(&definition));
  return module &&
         PyDict_SetItemString(PyImport_GetModuleDict(), definition.m_name, module.get()) == 0;
}

}  // namespace torchbed
