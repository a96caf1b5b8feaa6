"""Breaks the queue on purpose, for real, and has an independent checker judge what happened.

`python -m tests.chaos` runs it (`make chaos`). The parts: `run` conducts; `servers`, `sentinel` and
`relay` are the Redis and the bad network in front of it; `forkserver` forks the processes: a
`worker` written by hand, the library's own one with a diary (`noted`), and a `filler`, into which
`faults` builds sudden death and wrong clocks; `history` keeps what happened and `checker`, which
knows nothing of wqlib, judges it. `planted` proves the checker.
"""
