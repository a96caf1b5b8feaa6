"""Which Kubernetes the cluster behaves like: today's, or 1.20 for those who still run it.

`LOCALCLUSTER_PROFILE=1.20` chooses the old one. They differ in few things, all of them versions
of the API's own history: when a failed pod is replaced, which labels and status fields a Job has.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

from ..errors import ClusterError


@dataclass(frozen=True)
class Profile:
    """One version to behave like.

    Attributes:
        minor: The minor version number of Kubernetes 1.
    """

    minor: int

    @property
    def git_version(self) -> str:
        """Return the version that the API reports; its suffix says that it is not the real one."""
        return f"v1.{self.minor}.0+localcluster"

    @property
    def modern(self) -> bool:
        """Tell whether it behaves like today's versions."""
        return self.minor > 20


_PROFILES = {"1.33": Profile(33), "1.20": Profile(20)}


@functools.cache
def profile() -> Profile:
    """Return the profile of this process.

    Raises:
        ClusterError: `LOCALCLUSTER_PROFILE` names none.
    """
    name = os.environ.get("LOCALCLUSTER_PROFILE") or "1.33"
    if name not in _PROFILES:
        raise ClusterError(
            f"LOCALCLUSTER_PROFILE={name} is no version that the local cluster can behave like."
            f" Use one of: {', '.join(_PROFILES)}."
        )
    return _PROFILES[name]
