"""What a pod installs stays in the pod."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import redis

from localcluster.images import podpython

from .conftest import Local, pod, wait_until


def _wheel(folder: Path, name: str, version: str) -> Path:
    """A package with one module, which knows its version, and one program."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"__version__ = '{version}'\ndef main(): print('program of', __version__)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-program = {name}:main\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def _here() -> list[str]:
    return sorted(str(p) for p in Path(sys.prefix).rglob("*") if "__pycache__" not in p.parts)


def test_what_a_container_installs_is_its_own(local: Local, ns: str, tmp_path: Path) -> None:
    tiny, old = _wheel(tmp_path, "tinypackage", "1.5"), _wheel(tmp_path, "redis", "0.1")
    before = _here()
    show = "python -c 'import redis, hiredis, localcluster; print(redis.__version__)'"
    # As many a program of this environment does; its first line names this Python.
    installer = (
        'import subprocess, sys; words = ["-m", "pip", "install", "-q", "--no-index"];'
        "subprocess.run([sys.executable, *words, *sys.argv[1:]])\\n"
    )
    scripts = {
        "shadowing": f"""set -e; pip install -q --no-index {tiny} {old} 2>/dev/null; {show}
            tinypackage-program; pip uninstall -y hiredis | grep -c 'outside environment'
            python -m venv --without-pip v; v/bin/python -c 'import sys; print(sys.argv)'""",
        "module": f"python -m pip install -q --no-index {tiny}; {show}; tinypackage-program",
        "path": f"/usr/local/bin/pip3 install -q --no-index {tiny}; {show}; tinypackage-program",
        "user": f"pip install -q --user --no-index {tiny} {old} 2>/dev/null; {show};"
        " ~/.local/bin/tinypackage-program",
        "script": f"printf '#!{sys.executable}\\n{installer}' >installer; chmod +x installer;"
        f" ./installer {tiny}; tinypackage-program",
        "other": f"{show}; command -v tinypackage-program || echo no program",
    }
    manifest = pod("p", "true", container={"securityContext": {"readOnlyRootFilesystem": True}})
    [container] = manifest["spec"]["containers"]
    manifest["spec"]["containers"] = [
        {**container, "name": name, "command": ["sh", "-c", script]}
        for name, script in scripts.items()
    ]
    local.core.create_namespaced_pod(ns, manifest)

    def over() -> bool:
        return str(local.core.read_namespaced_pod("p", ns).status.phase) in ("Succeeded", "Failed")

    def log(container: str) -> list[str]:
        return str(local.core.read_namespaced_pod_log("p", ns, container=container)).splitlines()

    wait_until(over, seconds=120)
    assert log("shadowing") == ["0.1", "program of 1.5", "1", "['-c']"]
    assert log("module") == log("path") == [redis.__version__, "program of 1.5"]
    assert log("user") == ["0.1", "program of 1.5"]
    assert log("script") == ["program of 1.5"]
    assert log("other") == [redis.__version__, "no program"]
    assert _here() == before
    local.core.delete_namespaced_pod("p", ns, grace_period_seconds=0)
    wait_until(lambda: not list(local.home.glob("cluster/pods/*/python.*")))


@pytest.mark.parametrize("option", ["", "--system"])
def test_uv_installs_into_the_pod(local: Local, ns: str, tmp_path: Path, option: str) -> None:
    """With a uv that tells how it was called; the real one is not on every machine."""
    (tmp_path / "uv").write_text('#!/bin/sh\necho "$@" "$VIRTUAL_ENV" "$UV_SYSTEM_PYTHON"\n')
    (tmp_path / "uv").chmod(0o700)
    podpython.write_shared(tmp_path / "bin", tmp_path / "site", str(tmp_path))
    script = f"UV_SYSTEM_PYTHON=1 {tmp_path}/bin/uv pip install {option} x"
    local.core.create_namespaced_pod(ns, pod("p", "sh", "-c", script))
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Succeeded")
    words = str(local.core.read_namespaced_pod_log("p", ns)).split()
    own = words[-1]
    assert "/python." in own
    assert words == ["pip", "install", *(["--python", own] if option else []), "x", own]


def test_a_python_without_pip_gets_one_or_says_where_it_is_missing(tmp_path: Path) -> None:
    podpython.write_shared(tmp_path / "bin", tmp_path / "site")
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "python").chmod(0o700)
    env = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    done = subprocess.run([tmp_path / "bin" / "pip"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no pip in the local cluster's Python" in done.stderr

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    env = {"PATH": f"{tmp_path}/v/bin:/usr/bin:/bin"}
    command = [tmp_path / "bin" / "pip", "--version"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert f"{tmp_path}/v/" in done.stdout
