"""JupyterLab's terminals: a plain `kubectl` there speaks to the cluster of the course.

A kubeconfig of ours says no more than which context and which namespace. kubectl merges it with the
one that has the keys, so nothing is copied, and a local cluster that was started again is found. It
sees no others: no other cluster of the learner's is reached by mistake, and none is changed.
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

from ..cluster import for_kubectl
from ..cluster.kubeconfig import kubeconfig_choosing
from ..cluster.local import home, kubeconfig
from ..errors import ClusterError
from .copies import NAME

# In place of ~/.bashrc, which may name another cluster. What else that one sets is inherited from
# the shell in which JupyterLab was started.
_SETTINGS = """\
export KUBECONFIG={kubeconfig} PATH={programs}:"$PATH"
PS1='${{PWD##*/}}$ '
if [ "$PWD" -ef "$JUPYTER_SERVER_ROOT" ] && [ -d {folder} ]; then cd {folder}; fi
"""
_WHILE_IT_RUNS = """\
kubectl() {{
  if [ -e {file} ]; then command kubectl "$@"; return; fi
  echo "The local cluster is not running. Run the set-up cell of a notebook first." >&2
  return 1
}}
"""


def shell_command() -> list[str]:
    """Write the settings of a shell, and return the command that starts it with them.

    It is for `ServerApp.terminado_settings` of JupyterLab.
    """
    try:
        files, choice = for_kubectl()
    except ClusterError:  # the notebooks say what is wrong with it; kubectl must not go elsewhere
        files, choice = [], kubeconfig_choosing(os.environ["WQLIB_CONTEXT"])
    ours = json.dumps(choice, indent=1)  # JSON is YAML
    name = hashlib.sha256(f"{sys.prefix} {files} {ours}".encode()).hexdigest()[:12]
    folder = home().absolute() / "terminals" / name  # several JupyterLabs may use several clusters
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = _SETTINGS.format(
        kubeconfig=shlex.quote(os.pathsep.join(map(str, [folder / "kubeconfig", *files]))),
        programs=shlex.quote(str(Path(sys.prefix, "bin"))),
        folder=NAME,
    )
    if files == [kubeconfig()]:
        settings += _WHILE_IT_RUNS.format(file=shlex.quote(str(files[0])))
    (folder / "kubeconfig").write_text(ours)
    (folder / "settings.sh").write_text(settings)
    if bash := shutil.which("bash"):
        quiet = "BASH_SILENCE_DEPRECATION_WARNING=1"  # macOS would recommend another shell
        return ["env", quiet, bash, "--rcfile", str(folder / "settings.sh"), "-i"]
    return ["env", f"ENV={folder / 'settings.sh'}", "sh", "-i"]
