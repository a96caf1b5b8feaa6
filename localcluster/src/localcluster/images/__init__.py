"""Images without containers: built from a Dockerfile, kept as folders."""
