"""A class of learners on one shared cluster: a namespace, a few rights and a kubeconfig each.

The teacher's side is `wqlib class` (see `wqlib/classcli.py`, docs/class.md): `create`, `read`
and `delete` here. The learner's side is one call, `publish`, which puts the learner's progress
where the teacher sees it.

All that belongs to a class carries the label `wqlib/class`, and is in namespaces that are called
`wq-NAME-01`, `wq-NAME-02`, …
"""

from __future__ import annotations

from .progress import publish

__all__ = ["publish"]
