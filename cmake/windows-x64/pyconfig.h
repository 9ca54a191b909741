// What Python.h has to know of 64-bit Windows, for compiling there with the headers of a Python for Linux, whose
// own pyconfig.h describes Linux. An installation on Windows has a pyconfig.h of its own.
#pragma once

#define MS_WIN32
#define MS_WIN64
#define MS_WINDOWS
#define NT_THREADS
// Functions and variables come from a library: they are declared with dllimport.
#define HAVE_DECLSPEC_DLL
#define Py_ENABLE_SHARED

#define HAVE_SSIZE_T 1
#define HAVE_WCHAR_H 1
#define ALIGNOF_MAX_ALIGN_T 8
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_TIME_T 8
#define SIZEOF_VOID_P 8
#define SIZEOF_WCHAR_T 2
