"""Volumes of pods: folders with data of the API, and what cannot be had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localcluster.kubelet.volumes import write_atomically

from .conftest import Local, pod, wait_until
from .test_pods import _create, _log, _phase, _read, _waiting, _words

LIST = """
import json, os, sys
found = []
for volume in sys.argv[1:]:
    for at, folders, files in os.walk(volume, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith('..')]
        for path in [os.path.join(at, name) for name in files]:
            mode = oct(os.stat(path).st_mode & 0o777)
            found.append([os.path.relpath(path, volume), open(path).read(), mode])
print(json.dumps(sorted(found)))
"""


def _events(local: Local, ns: str, reason: str) -> list[str]:
    found = local.core.list_namespaced_event(ns, field_selector=f"reason={reason}").items
    return [event.message for event in found]


def _pod(*command: str, volumes: list[dict[str, Any]], **container: Any) -> dict[str, Any]:
    """Return a pod that has each volume at `/<name>`."""
    mounts = [{"name": v["name"], "mountPath": f"/{v['name']}"} for v in volumes]
    mounts += container.pop("mounts", [])
    return pod("p", *command, container={"volumeMounts": mounts, **container}, volumes=volumes)


def _files(local: Local, ns: str, *volumes: dict[str, Any]) -> list[Any]:
    """Return [path, content, mode] of the files of one volume, as a pod sees them."""
    places = [f"/{volume['name']}" for volume in volumes]
    _create(local, ns, _pod("python", "-c", LIST, *places, volumes=list(volumes)))
    _phase(local, ns, "Succeeded")
    found: list[Any] = json.loads(_log(local, ns))
    return found


@pytest.fixture
def data(local: Local, ns: str) -> None:
    config = {"metadata": {"name": "c"}, "data": {"a": "1\n", "b.txt": "two"}}
    config["binaryData"] = {"raw": "Ynl0ZXM="}
    local.core.create_namespaced_config_map(ns, config)
    local.core.create_namespaced_secret(
        ns, {"metadata": {"name": "s"}, "stringData": {"password": "geheim"}}
    )


@pytest.mark.usefixtures("data")
def test_a_configmap_has_a_file_for_each_key(local: Local, ns: str) -> None:
    assert _files(local, ns, {"name": "v", "configMap": {"name": "c"}}) == [
        ["a", "1\n", "0o644"],
        ["b.txt", "two", "0o644"],
        ["raw", "bytes", "0o644"],
    ]


@pytest.mark.usefixtures("data")
def test_items_choose_keys_paths_and_modes(local: Local, ns: str) -> None:
    items = [{"key": "a", "path": "deep/er/x", "mode": 0o755}, {"key": "b.txt", "path": "b"}]
    source = {"name": "c", "items": items, "defaultMode": 0o600}
    assert _files(local, ns, {"name": "v", "configMap": source}) == [
        ["b", "two", "0o600"],
        ["deep/er/x", "1\n", "0o755"],
    ]


@pytest.mark.usefixtures("data")
def test_a_projected_volume_unites_its_sources(local: Local, ns: str) -> None:
    fields = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {
            "path": "memory",
            "resourceFieldRef": {
                "containerName": "main",
                "resource": "limits.memory",
                "divisor": "1Gi",
            },
        },
    ]
    sources = [
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "a"}]}},
        {"secret": {"name": "s", "items": [{"key": "password", "path": "x/pw"}]}},
        {"secret": {"name": "nosuch", "optional": True}},
        {"downwardAPI": {"items": fields}},
    ]
    found = _files(local, ns, {"name": "v", "projected": {"sources": sources}})
    assert [f[:2] for f in found if f[0] != "memory"] == [
        ["a", "1\n"],
        ["labels", 'app="p"'],
        ["x/pw", "geheim"],
    ]
    # Without a limit it is what the node has.
    assert int(next(f[1] for f in found if f[0] == "memory")) >= 1


@pytest.mark.usefixtures("data")
def test_a_part_of_a_volume_can_be_mounted_alone(local: Local, ns: str) -> None:
    volumes = [{"name": "c", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}}]
    mounts = [
        {"name": "c", "mountPath": "/etc/app.conf", "subPath": "b.txt"},
        {"name": "e", "mountPath": "/data/work", "subPathExpr": "of/$(NAME)"},
    ]
    env = [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    script = "cat /etc/app.conf; touch /data/work/x; ls /e/of/p; cat etc/app.conf /c/[a]*"
    _create(local, ns, _pod("sh", "-c", script, volumes=volumes, mounts=mounts, env=env))
    _phase(local, ns, "Succeeded")
    assert _log(local, ns) == "twox\ntwo1\n"


@pytest.mark.parametrize("kind", ["configMap", "secret"])
def test_a_missing_object_holds_the_pod_until_it_is_there(local: Local, ns: str, kind: str) -> None:
    name = {"configMap": "name", "secret": "secretName"}[kind]
    volumes = [{"name": "v", kind: {name: "late", "items": [{"key": "k", "path": "f"}]}}]
    _create(local, ns, _pod("cat", "/v/f", volumes=volumes))
    start = f'MountVolume.SetUp failed for volume "v" : {kind.lower()} "late" not found'
    wait_until(lambda: start in _events(local, ns, "FailedMount"))
    assert _waiting(local, ns, "ContainerCreating")
    assert _read(local, ns).status.pod_ip is None
    made = {"metadata": {"name": "late"}, "data": {"k": "eA=="}}
    if kind == "configMap":
        local.core.create_namespaced_config_map(ns, made)
    else:
        local.core.create_namespaced_secret(ns, made)
    _phase(local, ns, "Succeeded")
    assert _log(local, ns) == {"configMap": "eA==", "secret": "x"}[kind]


@pytest.mark.usefixtures("data")
def test_a_missing_key_is_named(local: Local, ns: str) -> None:
    sources = [
        {"configMap": {"name": "c", "items": [{"key": "no", "path": "x"}]}},
        {"secret": {"name": "s", "items": [{"key": "no", "path": "y"}]}},
    ]
    _create(local, ns, _pod("true", volumes=[{"name": "v", "projected": {"sources": sources}}]))
    message = (
        'MountVolume.SetUp failed for volume "v" : [configmap references non-existent config key:'
        " no, references non-existent secret key: no]"
    )
    wait_until(lambda: message in _events(local, ns, "FailedMount"))


def test_what_is_optional_may_be_missing(local: Local, ns: str) -> None:
    volumes = [
        {"name": "c", "configMap": {"name": "nosuch", "optional": True}},
        {"name": "s", "secret": {"secretName": "nosuch", "optional": True}},
    ]
    assert _files(local, ns, *volumes) == []


@pytest.mark.usefixtures("data")
def test_a_running_pod_sees_the_changes(local: Local, ns: str) -> None:
    script = "while :; do cat /v/a /v/new /f; cat /d/labels; echo; sleep 0.1; done 2>/dev/null"
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    volumes = [
        {"name": "v", "configMap": {"name": "c"}},
        {"name": "d", "downwardAPI": {"items": [labels]}},
    ]
    mounts = [{"name": "v", "mountPath": "/f", "subPath": "b.txt"}]
    _create(local, ns, _pod("sh", "-c", script, volumes=volumes, mounts=mounts))
    _words(local, ns, 1)
    patch = {"data": {"a": "changed\n", "b.txt": "never-seen", "new": "added\n"}}
    local.core.patch_namespaced_config_map("c", ns, patch)
    local.core.patch_namespaced_pod("p", ns, {"metadata": {"labels": {"color": "red"}}})
    wait_until(lambda: {"changed", "added", 'color="red"'} <= set(_log(local, ns).split()))
    assert "never-seen" not in _log(local, ns)


def test_all_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    write_atomically(tmp_path, {"a": (b"1", 0o644), "x/y": (b"2", 0o600)})
    before = (tmp_path / "..data").resolve()
    write_atomically(tmp_path, {"a": (b"3", 0o644)})
    after = (tmp_path / "..data").resolve()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["..data", after.name, "a"])
    assert (tmp_path / "a").read_text() == "3"
    assert after != before
    assert not before.exists()


def test_a_link_in_a_volume_leads_no_mount_out_of_it(local: Local, ns: str) -> None:
    volumes = [{"name": "e", "emptyDir": {}}]
    first = {
        "name": "first",
        "image": "python",
        "command": ["ln", "-s", "/", "/e/out"],
        "volumeMounts": [{"name": "e", "mountPath": "/e"}],
    }
    mounts = [{"name": "e", "mountPath": "/out", "subPath": "out/etc"}]
    manifest = _pod("ls", "/out", volumes=volumes, mounts=mounts)
    manifest["spec"]["initContainers"] = [first]
    _create(local, ns, manifest)
    status = _waiting(local, ns, "CreateContainerConfigError")
    message = 'failed to prepare subPath for volumeMount "e" of container "main"'
    assert status.state.waiting.message == message


def test_a_mount_path_leads_nowhere_else(local: Local, ns: str) -> None:
    volumes = [{"name": "e", "emptyDir": {}}]
    mounts = [{"name": "e", "mountPath": "../../../up"}, {"name": "e", "mountPath": "/a/../../b"}]
    script = "echo x > /b/file; cat /up/file"
    _create(local, ns, _pod("sh", "-c", script, volumes=volumes, mounts=mounts))
    uid = _phase(local, ns, "Succeeded").metadata.uid
    assert _log(local, ns) == "x\n"
    pods = local.home / "cluster" / "pods"
    assert not [p for p in pods.parent.rglob("up") if not p.is_relative_to(pods / uid)]


DESCENT = "spec.containers[0].volumeMounts.subPath"
MODE = "must be a number between 0 and 0777 (octal), both inclusive"


@pytest.mark.parametrize(
    ("mounts", "volumes", "complaints"),
    [
        ([{"name": "v"}], [{}], ["spec.containers[0].volumeMounts[0].mountPath: Required value"]),
        (
            [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}],
            [{}],
            ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique'],
        ),
        (
            [{"name": "v", "mountPath": "/a", "subPath": "/x"}],
            [{}],
            [f'{DESCENT}: Invalid value: "/x": must be a relative path'],
        ),
        (
            [{"name": "v", "mountPath": "/a", "subPath": "x/../y"}],
            [{}],
            [f"{DESCENT}: Invalid value: \"x/../y\": must not contain '..'"],
        ),
        (
            [{"name": "w", "mountPath": "/a"}],
            [{}],
            ['spec.containers[0].volumeMounts[0].name: Not found: "w"'],
        ),
        (
            [],
            [{"emptyDir": {}, "hostPath": {"path": "/"}}],
            ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
        ),
        ([], [{}, {}], ['spec.volumes[1].name: Duplicate value: "v"']),
        ([], [{"configMap": {}}], ["spec.volumes[0].configMap.name: Required value"]),
        ([], [{"secret": {}}], ["spec.volumes[0].secret.secretName: Required value"]),
        (
            [],
            [
                {
                    "configMap": {
                        "name": "x",
                        "defaultMode": 1000,
                        "items": [
                            {"key": "", "path": ""},
                            {"key": "a", "path": "../b"},
                            {"key": "a", "path": "..b"},
                            {"key": "a", "path": "/b"},
                        ],
                    }
                }
            ],
            [
                f"spec.volumes[0].configMap.defaultMode: Invalid value: 1000: {MODE}",
                "spec.volumes[0].configMap.items[0].key: Required value",
                "spec.volumes[0].configMap.items[0].path: Required value",
                'spec.volumes[0].configMap.items[1].path: Invalid value: "../b": must not'
                " contain '..'",
                'spec.volumes[0].configMap.items[2].path: Invalid value: "..b": must not start'
                " with '..'",
                'spec.volumes[0].configMap.items[3].path: Invalid value: "/b": must be a relative'
                " path",
            ],
        ),
    ],
)
def test_the_api_refuses_volumes_in_the_words_of_the_real_one(
    local: Local, ns: str, mounts: list[Any], volumes: list[Any], complaints: list[str]
) -> None:
    named = [{"name": "v", **volume} for volume in volumes]
    manifest = pod("p", "true", container={"volumeMounts": mounts}, volumes=named)
    reply = local.request("POST", f"/api/v1/namespaces/{ns}/pods", manifest)
    assert reply.code == 422
    causes = reply.json["details"]["causes"]
    assert [f"{c['field']}: {c['message']}" for c in causes] == complaints


@pytest.mark.parametrize(
    "source",
    [
        {"hostPath": {"path": "/"}},
        {"persistentVolumeClaim": {"claimName": "x"}},
        {"nfs": {"server": "x", "path": "/"}},
        {"csi": {"driver": "x"}},
        {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ],
)
def test_a_volume_that_is_not_supported_fails_the_pod_visibly(
    local: Local, ns: str, source: dict[str, Any]
) -> None:
    _create(local, ns, pod("p", "true", volumes=[{"name": "v", **source}]))
    found = _phase(local, ns, "Failed")
    assert found.status.reason == "VolumeNotSupported"
    # kubectl would show that a container is being created, and not the reason.
    assert found.status.container_statuses is None
    kind = "serviceAccountToken" if "projected" in source else next(iter(source))
    assert f'volume "v" of kind {kind} is not supported' in found.status.message
    wait_until(lambda: found.status.message in _events(local, ns, "FailedMount"))


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(("path", "why"), [("a" * 10_000, "name too long"), ("a\0b", "null byte")])
def test_a_path_that_no_file_can_have_is_told(local: Local, ns: str, path: str, why: str) -> None:
    source = {"name": "c", "items": [{"key": "a", "path": path}]}
    _create(local, ns, _pod("true", volumes=[{"name": "v", "configMap": source}]))
    told = wait_until(lambda: _events(local, ns, "FailedMount"))
    assert why in told[0]
