// Memory that JavaScript owns and lends to Python for the length of one call.
#include "loan.hpp"

#include <utility>

#include "environment.hpp"

namespace torchbed {
namespace {

// What an empty buffer points to: V8 may give none, and a Py_buffer needs an address.
unsigned char nothing = 0;

std::atomic<int64_t> alive_count{0};
std::atomic<int64_t> alive_size{0};

}  // namespace

Loan::Loan(std::shared_ptr<Environment> owner, uint32_t slot, void* data, std::size_t size,
           bool writable)
    : owner_(std::move(owner)),
      slot_(slot),
      data_(data == nullptr ? &nothing : data),
      size_(size),
      writable_(writable) {
  ++alive_count;
  alive_size += static_cast<int64_t>(size_);
}

Loan::~Loan() {
  --alive_count;
  alive_size -= static_cast<int64_t>(size_);
  owner_->end_loan(slot_);
}

int64_t Loan::alive() { return alive_count; }

int64_t Loan::alive_bytes() { return alive_size; }

}  // namespace torchbed
