// Large pages for memory that is about to be filled.
#pragma once

#include <cstddef>

namespace torchbed {

/// Asks the system to back this memory with large pages where it is not backed yet: touching hundreds of
/// megabytes for the first time, 4 KiB by 4 KiB, costs several times what writing them does. A hint for
/// memory of some megabytes and more, where the system knows it (Linux). Any thread.
void prefer_huge_pages(void* data, std::size_t size);

}  // namespace torchbed
