"""Options: what a request asks for besides its object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass
class WriteOptions:
    """What a write asks for.

    Args:
        field_validation: What to do about unknown fields: `Ignore`, `Warn` or `Strict`.
        manager: Who writes, for `managedFields`; empty for the cluster's own parts.
        force: Whether a server-side apply takes fields away from others.
        warnings: Filled with what the client should be told.
        duplicates: The paths of the fields that its body names twice.
    """

    dry_run: bool = False
    field_validation: str = "Warn"
    manager: str = ""
    force: bool = False
    warnings: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)


class ListOptions(NamedTuple):
    """What a list or a watch asks for; as in `ListOptions` of the API."""

    label_selector: str = ""
    field_selector: str = ""
    resource_version: int = 0
    resource_version_match: str = ""
    limit: int = 0
    continue_token: str = ""
    timeout_seconds: int = 0
    allow_watch_bookmarks: bool = False
    send_initial_events: bool = False
