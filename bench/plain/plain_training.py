"""Trains an example's windows in plain Python, which is what training in Node.js is compared with.

    python plain_training.py MODULE:ATTR FOLDER CONFIG_JSON BATCHES_JSON

Imports the workload's own module from the folder. Says "ready", then, for each line on stdin,
trains one window and prints the milliseconds that it took.
"""

import importlib
import json
import sys
import time


def main() -> None:
    factory, folder, config, batches = sys.argv[1:]
    sys.path.insert(0, folder)
    module, _, attribute = factory.partition(":")
    workload = getattr(importlib.import_module(module), attribute)(json.loads(config))
    window = json.loads(batches)
    state = workload.init_model(workload.runtime_device())
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        workload.train_window(state, window)
        print((time.perf_counter() - began) * 1000, flush=True)


if __name__ == "__main__":
    main()
