// Large pages for memory that is about to be filled.
#include "huge_pages.hpp"

#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace torchbed {
namespace {

/// Below this many bytes small pages cost little.
constexpr std::size_t kHugePagesFrom = std::size_t{4} << 20;

}  // namespace

void prefer_huge_pages(void* data, std::size_t size) {
#ifdef __linux__
  if (size < kHugePagesFrom) return;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  // Whole pages only: a page at either end may hold something else too.
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t last = (begin + size) / page * page;
  (void)madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)data;
  (void)size;
#endif
}

}  // namespace torchbed
