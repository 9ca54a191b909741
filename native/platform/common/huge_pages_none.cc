// Large pages for memory that is about to be filled: there is no such hint on this system.
#include "huge_pages.hpp"

namespace torchbed {

void prefer_huge_pages(void* /*data*/, std::size_t /*size*/) {}

}  // namespace torchbed
