// torchbed_exit.dll (Windows only): a library that is loaded last, and so the first to be told that the process ends.
// See exit.cc.
#include "windows.hpp"

namespace {

void(__cdecl* at_end)() = nullptr;

}  // namespace

/// `handler` is called once, on the last thread of the process. Any thread; the latest handler counts.
extern "C" __declspec(dllexport) void __cdecl torchbed_at_end(void(__cdecl* handler)()) {
  at_end = handler;
}

extern "C" BOOL WINAPI DllMain(HINSTANCE /*library*/, DWORD reason, LPVOID is_process_ending) {
  if (reason == DLL_PROCESS_DETACH && is_process_ending != nullptr && at_end != nullptr) at_end();
  return TRUE;
}
