"""Workloads that are made, rather than written."""
