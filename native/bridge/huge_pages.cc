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
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  // Whole pages only: a page at either end may hold something else too.
  const std::size_t skip = (page - reinterpret_cast<std::uintptr_t>(data) % page) % page;
  (void)madvise(static_cast<char*>(data) + skip, (size - skip) / page * page, MADV_HUGEPAGE);
#else
  (void)data;
  (void)size;
#endif
}

}  // namespace torchbed
