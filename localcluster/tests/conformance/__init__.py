"""Scenarios that run on any Kubernetes, recorded on a real one and replayed on the local cluster.

`python -m tests.conformance record --kubeconfig FILE` records what a cluster answers to the scripts
in `scenarios/` into `recorded/`; `replay` runs the same scripts and compares leaf by leaf. The
parts: `script` is what a scenario writes its steps with, `cluster` sends them, `normalise` takes
out what no two runs share, `compare` judges, `declared` reads what may differ, with its reason,
from `gaps.toml`, and `run` runs them all.
"""
