"""The benchmark of the queue: `python benchmarks/queue.py`."""
