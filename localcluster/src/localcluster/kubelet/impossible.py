"""What no program can be given: paths that are none, a command or environment with NUL in it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from .podenv import ConfigError


def is_told(
    configure: Callable[[Any, Any], Awaitable[list[str]]],
) -> Callable[[Any, Any], Awaitable[list[str]]]:
    """Wrap what prepares a container, so that what no program can be given is a `ConfigError`."""

    @functools.wraps(configure)
    async def told(worker: Any, container: Any) -> list[str]:
        try:
            argv = await configure(worker, container)
        except (OSError, ValueError) as error:
            raise ConfigError(f"the container cannot be set up: {error}") from None
        for text in [*argv, *container.env, *container.env.values()]:
            if "\0" in text:
                raise ConfigError("its command or environment holds a NUL character")
        return argv

    return told
