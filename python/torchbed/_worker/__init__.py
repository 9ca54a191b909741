"""A workload in a process of its own, behind `python -m torchbed.worker`."""
