// A place inside a value, such as batches[3].payload.x, and the error that names it.
#pragma once

#include <cstddef>
#include <string>

#include "value.hpp"

namespace torchbed {

/// A chain of keys and indices on the C++ stack; turned into text only when an error needs it.
class Place {
 public:
  Place() = default;
  Place(const Place& outer, std::size_t index)
      : outer_(&outer), index_(index), depth_(outer.depth_ + 1) {}
  Place(const Place& outer, const Value& key)
      : outer_(&outer), key_(&key), depth_(outer.depth_ + 1) {}

  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  /// Number of lists and dicts around this place.
  [[nodiscard]] int depth() const { return depth_; }

  /// `batches[3].payload.x`; empty for the outermost value.
  [[nodiscard]] std::string text() const;

 private:
  const Place* outer_ = nullptr;
  const Value* key_ = nullptr;
  std::size_t index_ = 0;
  int depth_ = 0;
};

/// A value that cannot cross. Thrown by both converters, caught where a call is made or settled.
struct ConversionError {
  ConversionError(std::string what, const Place& place)
      : message(std::move(what)), path(place.text()) {}
  std::string message;
  std::string path;
};

}  // namespace torchbed
