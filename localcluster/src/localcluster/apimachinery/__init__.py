"""What every part of the cluster shares: objects, errors, selectors, a client, informers."""
