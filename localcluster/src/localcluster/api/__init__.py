"""The API server: the Kubernetes protocol over the store."""
