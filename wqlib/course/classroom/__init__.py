"""A class of learners on one shared cluster: a namespace, a few rights and a kubeconfig each.

The teacher's side is `wqlib class` (see docs/class.md): `create.create`, `report.read` and
`remove.delete`. The learner's side is one call, `progress.publish`, which puts the learner's
progress where the teacher sees it.

Everything that belongs to a class carries the label `wqlib/class`, and is in namespaces that are
called `wq-NAME-01`, `wq-NAME-02`, …
"""
