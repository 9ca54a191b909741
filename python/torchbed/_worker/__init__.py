"""A workload in a separate process, behind `python -m torchbed.worker`."""
