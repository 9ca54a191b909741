// The built-in Python module _torchbed_bridge: what the package torchbed asks of the bridge.
#pragma once

namespace torchbed {

/// GIL held. Puts _torchbed_bridge into sys.modules; false with a Python error set.
bool add_bridge_module();

}  // namespace torchbed
