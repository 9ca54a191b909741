// Environment variables as Python will read them.
#pragma once

#include <string>

namespace torchbed {

/// UTF-8. On the JS thread, where process.env is written too: another thread's getenv would not be safe.
/// On Windows an empty value removes the variable, as everywhere there.
void set_environment_variable(const std::string& name, const std::string& value);

void remove_environment_variable(const std::string& name);

}  // namespace torchbed
