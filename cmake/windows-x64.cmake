# Compiles for 64-bit Windows on Linux, with mingw-w64: `npm run build:cross`.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)
# The POSIX threads model: the other one of mingw-w64 has no std::mutex.
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
# The C++ runtime inside, as Windows has none of GCC's.
set(CMAKE_MODULE_LINKER_FLAGS_INIT "-static")
