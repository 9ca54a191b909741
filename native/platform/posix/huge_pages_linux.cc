// Large pages for memory that is about to be filled: transparent huge pages.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "../common/huge_pages.hpp"

namespace torchbed {
namespace {

/// Below this many bytes small pages cost little.
constexpr std::size_t kHugePagesFrom = std::size_t{4} << 20;

}  // namespace

void prefer_huge_pages(void* data, std::size_t size) {
  if (size < kHugePagesFrom) return;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  // Whole pages only: a page at either end may hold something else too.
  const std::size_t skip = (page - reinterpret_cast<std::uintptr_t>(data) % page) % page;
  (void)madvise(static_cast<char*>(data) + skip, (size - skip) / page * page, MADV_HUGEPAGE);
}

}  // namespace torchbed
