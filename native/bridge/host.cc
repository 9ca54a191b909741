// Starting the interpreter and calling torchbed._host.host.
#include "host.hpp"

#include "../platform/common/claim.hpp"
#include "../platform/common/interrupts.hpp"
#include "../platform/common/own_libraries.hpp"
#include "../platform/common/program_name.hpp"
#include "place.hpp"
#include "python_module.hpp"
#include "python_values.hpp"

// Declared here because headers drop it in Python 3.16 while the stable ABI keeps the symbol.
extern "C" PyAPI_FUNC(void) Py_SetProgramName(const wchar_t*);

namespace torchbed {
namespace {

std::string utf8(PyObject* text) {
  const PyRef raw = PyRef::take(
      text == nullptr ? nullptr : PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
  if (!raw) {
    PyErr_Clear();
    return "";
  }
  return {PyBytes_AsString(raw.get()), static_cast<std::size_t>(PyBytes_Size(raw.get()))};
}

std::string text_of(PyObject* object) {
  const PyRef text = PyRef::take(object == nullptr ? nullptr : PyObject_Str(object));
  return utf8(text.get());
}

std::string format_traceback(PyObject* exception) {
  const PyRef module = PyRef::take(PyImport_ImportModule("traceback"));
  const PyRef lines = PyRef::take(
      module ? PyObject_CallMethod(module.get(), "format_exception", "O", exception) : nullptr);
  const PyRef empty = PyRef::take(PyUnicode_FromString(""));
  const PyRef text = PyRef::take(lines ? PyUnicode_Join(empty.get(), lines.get()) : nullptr);
  PyErr_Clear();
  return utf8(text.get());
}

/// The dict that torchbed._host.host.dispatch answers when a call failed.
Failure failure_from_dict(PyObject* dict) {
  const auto field = [dict](const char* name) {
    return utf8(PyDict_GetItemString(dict, name));  // borrowed
  };
  Failure failure{field("code"), field("message"), field("python_type"), field("traceback"), ""};
  PyObject* changed = PyDict_GetItemString(dict, "state_changed");  // borrowed
  if (changed != nullptr) failure.state_changed = changed == Py_True;
  return failure;
}

}  // namespace

std::optional<Failure> Host::start(const StartOptions& options) {
  if (!claim_python() || Py_IsInitialized() != 0) {
    return Failure{"ERR_RUNTIME_CONFLICT",
                   "Cannot start Python: something else in this process already runs one, a second "
                   "copy of torchbed or another package that embeds Python",
                   "", "", ""};
  }
  wchar_t* program = program_name(options.executable);
  if (program == nullptr) {
    return Failure{"ERR_PYTHON_START", "Cannot decode the path " + options.executable, "", "", ""};
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
    "-Wdeprecated-declarations"  // Its successor is not in the stable ABI.
  Py_SetProgramName(program);    // Kept by Python, never freed.
#pragma GCC diagnostic pop
  // 0: no signal handlers. SIGINT belongs to Node.
  Py_InitializeEx(0);
  remember_python_thread();
  std::optional<Failure> failure = import_package(options);
  // This thread ends without it, and static destructors of what was imported may wait for the GIL.
  if (failure) PyEval_SaveThread();
  return failure;
}

std::optional<Failure> Host::import_package(const StartOptions& options) {
  const std::string running = Py_GetVersion();
  if (running.compare(0, options.version.size(), options.version) != 0) {
    return Failure{
        "ERR_PYTHON_START",
        "Cannot use Python " + options.version + ": its shared library is Python " + running, "",
        "", ""};
  }
  import_with_own_libraries();
  PyObject* path = PySys_GetObject("path");  // borrowed
  const PyRef root = PyRef::take(PyUnicode_DecodeFSDefault(options.python_root.c_str()));
  if (path == nullptr || !root || PyList_Insert(path, 0, root.get()) != 0 || !add_bridge_module()) {
    return failure_from_error("ERR_PYTHON_START");
  }
  const PyRef host = PyRef::take(PyImport_ImportModule("torchbed._host.host"));
  if (!host) return failure_from_error("ERR_PYTHON_START");
  dispatch_ = PyRef::take(PyObject_GetAttrString(host.get(), "dispatch"));
  release_ = PyRef::take(PyObject_GetAttrString(host.get(), "release"));
  shut_down_ = PyRef::take(PyObject_GetAttrString(host.get(), "shutdown"));
  cancelled_ = PyRef::take(PyObject_GetAttrString(host.get(), "Cancelled"));
  const PyRef started = PyRef::take(PyObject_CallMethod(host.get(), "start", nullptr));
  if (!dispatch_ || !release_ || !shut_down_ || !cancelled_ || !started) {
    return failure_from_error("ERR_PYTHON_START");
  }
  return std::nullopt;
}

Outcome Host::dispatch(Job& job) {
  try {
    const PyRef params = to_python(std::move(job.params));
    if (!params) throw PythonErrorSet{};
    const PyRef session = PyRef::take(PyLong_FromUnsignedLong(job.session));
    const PyRef method = PyRef::take(PyUnicode_FromString(job.method.c_str()));
    if (!session || !method) throw PythonErrorSet{};
    const PyRef answer = PyRef::take(PyObject_CallFunctionObjArgs(
        dispatch_.get(), session.get(), method.get(), params.get(), nullptr));
    if (!answer) throw PythonErrorSet{};
    PyObject* succeeded = PyTuple_GetItem(answer.get(), 0);
    PyObject* content = PyTuple_GetItem(answer.get(), 1);
    if (succeeded == nullptr || content == nullptr) throw PythonErrorSet{};
    if (succeeded != Py_True) return failure_from_dict(content);
    return from_python(content);
  } catch (const ConversionError& error) {
    return Failure{"ERR_VALUE", error.message, "", "", error.path};
  } catch (const PythonErrorSet&) {
    const bool cancelled = PyErr_ExceptionMatches(cancelled_.get()) != 0;
    return failure_from_error(cancelled ? "ABORT_ERR" : "ERR_PYTHON_HOST");
  }
}

void Host::release(const std::vector<std::pair<uint32_t, uint32_t>>& models) {
  const PyRef pairs = PyRef::take(PyList_New(0));
  for (const auto& [session, model] : models) {
    const PyRef pair = PyRef::take(Py_BuildValue("(II)", session, model));
    if (pairs && pair) PyList_Append(pairs.get(), pair.get());
  }
  const PyRef done = PyRef::take(
      pairs ? PyObject_CallFunctionObjArgs(release_.get(), pairs.get(), nullptr) : nullptr);
  PyErr_Clear();
}

void Host::collect_garbage() {
  const PyRef gc = PyRef::take(PyImport_ImportModule("gc"));
  const PyRef done = PyRef::take(gc ? PyObject_CallMethod(gc.get(), "collect", nullptr) : nullptr);
  PyErr_Clear();
}

bool Host::shut_down() {
  const PyRef done = PyRef::take(PyObject_CallNoArgs(shut_down_.get()));
  PyErr_Clear();
  const PyRef threading = PyRef::take(PyImport_ImportModule("threading"));
  const PyRef alive = PyRef::take(
      threading ? PyObject_CallMethod(threading.get(), "active_count", nullptr) : nullptr);
  const long count = alive ? PyLong_AsLong(alive.get()) : -1;
  PyErr_Clear();
  return count == 1;
}

/// Takes the current Python error.
Failure Host::failure_from_error(const char* code) const {
  PyErrorHold error;
  PyObject* exception = error.exception();
  const PyRef name = PyRef::take(
      error.type() == nullptr ? nullptr : PyObject_GetAttrString(error.type(), "__name__"));
  const std::string type = utf8(name.get());
  const std::string text = text_of(exception);
  PyErr_Clear();
  return {code, text.empty() ? type : type + ": " + text, type,
          exception == nullptr ? "" : format_traceback(exception), ""};
}

}  // namespace torchbed
