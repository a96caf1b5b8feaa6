"""What can go wrong, in words that its reader can act on."""

from __future__ import annotations


class ClusterError(Exception):
    """The base of every error that the local cluster raises on purpose."""


class ImageError(ClusterError):
    """An image could not be built; the message names the file and the line."""
