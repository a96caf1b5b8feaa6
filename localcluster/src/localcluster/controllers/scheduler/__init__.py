"""The scheduler: which of the nodes that can take a pod gets it."""
