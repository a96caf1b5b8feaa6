"""Kubeconfigs: which files, which contexts, and what is wrong with them.

They hold keys, so an error repeats nothing of a file but names.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from ..errors import ClusterError


def kubeconfig_files(named: str | Path | None) -> list[Path]:
    """Return the kubeconfig files to read: the one named, KUBECONFIG, or ~/.kube/config."""
    if named:
        return [Path(named).expanduser()]
    listed = os.environ.get("KUBECONFIG", "")
    paths = [Path(part).expanduser() for part in listed.split(os.pathsep) if part]
    return paths or [Path.home() / ".kube" / "config"]


def find_context(files: list[Path], context: str) -> Path:
    """Return the file that holds a context.

    Raises:
        ClusterError: If none does; the message lists the contexts that there are.
    """
    known: list[str] = []
    for path in files:
        names = _entries(path, "context")
        if context in names:
            return path
        known += names
    where = ", ".join(map(str, files))
    if not known:
        raise ClusterError(
            f"There is no context {context!r}: no kubeconfig with contexts was found at {where}. "
            "Name the file with kubeconfig=… or the variable KUBECONFIG."
        )
    raise ClusterError(
        f"There is no context {context!r} in {where}. Use one of these: {', '.join(sorted(known))}."
    )


def context_entry(path: Path, context: str) -> dict[str, Any]:
    """Return what a kubeconfig says of a context: its cluster, user and namespace, if any."""
    return _entries(path, "context").get(context, {})


def context_namespace(path: Path, context: str) -> str:
    """Return the namespace that a context of a kubeconfig names; "" if it names none."""
    return str(context_entry(path, context).get("namespace") or "")


def kubeconfig_choosing(context: str, entry: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a kubeconfig that chooses a context, and says no more than that, or what it is."""
    contexts = [{"name": context, "context": entry}] if entry else []
    head = {"apiVersion": "v1", "kind": "Config"}
    return {**head, "current-context": context, "contexts": contexts}


def _entries(path: Path, kind: str) -> dict[str, dict[str, Any]]:
    """Return the contexts, clusters or users of a kubeconfig, by name.

    Raises:
        ClusterError: If it is no kubeconfig.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8")) or {}
        return {str(one["name"]): dict(one[kind] or {}) for one in content.get(f"{kind}s") or []}
    except FileNotFoundError:
        return {}
    except OSError as error:
        why = error.strerror or type(error).__name__
    except yaml.YAMLError as error:
        why = f"it is not valid YAML, {yaml_problem(error)}"
    except (UnicodeDecodeError, AttributeError, LookupError, TypeError, ValueError):
        why = "it is not a kubeconfig"
    raise ClusterError(
        f"The kubeconfig {path} cannot be read: {why}. "
        "Correct it, or name another file with kubeconfig=… or the variable KUBECONFIG."
    )


def yaml_problem(error: yaml.YAMLError) -> str:
    """Say where YAML is wrong, and how, without a word of the text: that may be a secret."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    problem = getattr(error, "problem", None) or "it has characters that YAML does not allow"
    return where + re.sub(r"""(['"])(?!<)..+\1""", "…", problem)


def check_credential_plugin(files: list[Path], context: str) -> None:
    """Check that the program with which a context logs in is there.

    The client goes on without a login when it is missing.

    Raises:
        ClusterError: If it is not there.
    """
    chosen = next((x[context] for x in (_entries(f, "context") for f in files) if context in x), {})
    for path in files:
        if user := _entries(path, "user").get(str(chosen.get("user"))):
            plugin = user.get("exec")
            plugin = plugin if isinstance(plugin, dict) else {}
            program = str(plugin.get("command") or "")
            found = path.parent / program if "/" in program else program
            if program and not shutil.which(found):
                hint = str(plugin.get("installHint") or "").strip()
                raise ClusterError(
                    f"The context {context!r} logs in with the program {program!r}, which was not "
                    f"found. Install it, or correct PATH. {hint}".strip()
                )
            return
