"""How fast the local cluster is, and what it costs."""
