"""A node loses its power: the one request that is no Kubernetes'.

A real machine dies by itself; one that is only a part of this process has to be told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import tornado.web

from ...apimachinery import apierrors
from ...apimachinery.conventions import KILL_NODE


class KillNode(tornado.web.RequestHandler):
    """Kills the node that the path names, if it lives here; answers when nothing of it runs."""

    def initialize(self, kill: Callable[[str], Awaitable[bool]]) -> None:
        self._kill = kill

    async def post(self, name: str) -> None:
        found = await self._kill(name)
        answer = apierrors.not_found("nodes", "", name).body() if not found else {}
        self.set_status(200 if found else 404)
        self.finish(answer)


def route(kill: Callable[[str], Awaitable[bool]]) -> tuple[str, type[KillNode], dict[str, object]]:
    """Return the route.

    Args:
        kill: Kills a node by its name; returns whether one of that name was alive.
    """
    return KILL_NODE.format(name="([^/]+)"), KillNode, {"kill": kill}
