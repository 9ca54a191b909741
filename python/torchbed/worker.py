"""A workload in a separate process, for a host that wants it isolated.

python -m torchbed.worker --factory M:A --config-json JSON --connect-host H --connect-port P
"""

import sys

from ._worker.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
