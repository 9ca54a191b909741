// Detached threads: _beginthreadex, as std::thread takes no stack size.
#include "../common/thread.hpp"

#include <process.h>

#include <memory>
#include <string>
#include <utility>

#include "windows.hpp"

namespace torchbed {

bool start_detached_thread(std::size_t stack_bytes, std::function<void()> body) {
  auto owned = std::make_unique<std::function<void()>>(std::move(body));
  const auto entry = [](void* argument) -> unsigned {
    const std::unique_ptr<std::function<void()>> function(
        static_cast<std::function<void()>*>(argument));
    (*function)();
    return 0;
  };
  // Reserved and not committed: pages of the stack cost memory when they are touched.
  const auto thread = _beginthreadex(nullptr, static_cast<unsigned>(stack_bytes), entry,
                                     owned.get(), STACK_SIZE_PARAM_IS_A_RESERVATION, nullptr);
  if (thread == 0) return false;
  (void)owned.release();
  CloseHandle(reinterpret_cast<HANDLE>(thread));
  return true;
}

void name_this_thread(const char* name) {
  // Looked up: Windows has it from 10, version 1607, on.
  using SetThreadDescription = HRESULT(WINAPI*)(HANDLE, PCWSTR);
  const auto set = reinterpret_cast<SetThreadDescription>(reinterpret_cast<void*>(
      GetProcAddress(GetModuleHandleW(L"kernelbase.dll"), "SetThreadDescription")));
  const std::string text(name);
  if (set != nullptr) set(GetCurrentThread(), std::wstring(text.begin(), text.end()).c_str());
}

}  // namespace torchbed
