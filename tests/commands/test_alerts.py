"""The alerts and the dashboard of `notebooks/manifests/production/monitoring/`, in a Prometheus."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from clusters import MANIFESTS
from conftest import soon

from wqlib.queue import WorkQueue
from wqlib.redisserver import RedisServer

MONITORING = MANIFESTS / "production" / "monitoring"
DATA = Path(__file__).parents[1] / "cluster" / "production"
FASTER = 300  # in a test, five minutes are a second

pytestmark = pytest.mark.skipif(
    not shutil.which("prometheus") or not shutil.which("promtool"),
    reason="prometheus is not installed (apt-get install prometheus)",
)


def rules() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]
    return found


def expressions() -> list[str]:
    """The queries of the dashboard, for all queues."""
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return [e.replace("$queue", ".*").replace("$__rate_interval", "1m") for e in found]


def faster(text: str) -> str:
    """The same with all durations divided by FASTER."""

    def divided(match: re.Match[str]) -> str:
        seconds = int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
        return f"{seconds * 1000 // FASTER}ms"

    return re.sub(r"(?<=[\[ ])(\d+)([smh])(?=[\]\n])", divided, text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_promtool_takes_the_rules_and_they_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    shutil.copy(DATA / "rules_test.yaml", tmp_path)
    for words in (["check", "rules", "rules.yaml"], ["test", "rules", "rules_test.yaml"]):
        done = subprocess.run(["promtool", *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


class Monitored:
    """A queue that Prometheus watches, with its workers; and another one on a Redis of its own."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.server = stack.enter_context(RedisServer())
        self.other = stack.enter_context(RedisServer())
        self.queue = stack.enter_context(WorkQueue("job2", url=self.server.url))
        self.port = free_port()
        self.ports = {"job2": free_port(), "other": free_port()}
        self.exporters = {name: self.export(name) for name in self.ports}
        self.workers: list[subprocess.Popen[bytes]] = []
        self.texts: dict[str, str] = {}
        (folder / "rules.yaml").write_text(faster(yaml.safe_dump(rules())))
        # While Redis is away, a scrape takes longer than a second.
        jobs = [
            {
                "job_name": name,
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "static_configs": [{"targets": [f"127.0.0.1:{self.ports[name]}"]}],
            }
            for name, interval in (("job2", "200ms"), ("other", "3s"))
        ]
        (folder / "prometheus.yaml").write_text(
            yaml.safe_dump(
                {
                    "global": {"evaluation_interval": "200ms"},
                    "rule_files": ["rules.yaml"],
                    "scrape_configs": jobs,
                }
            )
        )
        self.run(
            "prometheus",
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        )
        soon(self.is_up, 60)

    def is_up(self) -> bool:
        with contextlib.suppress(OSError):
            return len(self.ask("query", query="wqlib_up")["result"]) == 2
        return False

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def export(self, name: str) -> subprocess.Popen[bytes]:
        url = (self.server if name == "job2" else self.other).url
        port = str(self.ports[name])
        command = (sys.executable, "-m", "wqlib.commands.cli", "metrics", name)
        return self.run(*command, "--redis", url, "--port", port)

    def work(self) -> None:
        command = (sys.executable, "-m", "wqlib.worker", "--task", "wait", "--max-attempts", "1")
        more = ("--redis", self.server.url, "--lease-seconds", "0.5")
        self.workers.append(self.run(*command, *more))

    def ask(self, path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def firing(self) -> set[str]:
        found = {alert["labels"]["alertname"]: alert for alert in self.ask("alerts")["alerts"]}
        for name, alert in found.items():
            self.texts[name] = " ".join(alert["annotations"].values())
        return {name for name, alert in found.items() if alert["state"] == "firing"}


@pytest.fixture
def monitored(tmp_path: Path) -> Iterator[Monitored]:
    with contextlib.ExitStack() as stack:
        yield Monitored(tmp_path, stack)


@pytest.mark.timeout(300)  # each wait may be long on a busy machine, not all of them
def test_the_alerts_fire_while_workers_and_redis_are_killed_and_then_resolve(
    monitored: Monitored,
) -> None:
    fed = threading.Event()

    def feed() -> None:
        with monitored.queue.copy() as queue:
            while not fed.wait(0.1):
                queue.put(["0.3"] * 5)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for _ in range(3):
            monitored.work()
        for expression in expressions():
            monitored.ask("query", query=expression)
        used = set(re.findall(r"wqlib_\w+", str(rules()) + str(expressions())))
        assert used <= set(monitored.ask("label/__name__/values"))
        monitored.other.stop(crash=True)
        seen: set[str] = set()

        def pods_die() -> bool:
            seen.update(monitored.firing())
            monitored.workers.pop(0).kill()
            monitored.work()
            time.sleep(0.4)
            return seen >= {
                "WqlibRedisDown",
                "WqlibLeasesExpire",
                "WqlibDeadItems",
                "WqlibBacklogGrows",
            }

        soon(pods_die, 60)
        for worker in monitored.workers:
            worker.kill()
        soon(lambda: monitored.firing() >= {"WqlibNoWorkers", "WqlibStalled"}, 60)
    finally:
        fed.set()
        feeder.join()
    for exporter in monitored.exporters.values():
        exporter.kill()
    soon(lambda: monitored.firing() == {"WqlibExporterDown"}, 60)
    monitored.other.start()
    monitored.queue.clear()
    for name in monitored.ports:
        monitored.export(name)
    soon(lambda: monitored.ask("query", query="wqlib_up == 1")["result"], 60)
    soon(lambda: not monitored.firing(), 60)
    assert {rule["alert"] for rule in rules()["groups"][0]["rules"]} == monitored.texts.keys()
    assert not [text for text in monitored.texts.values() if "<error" in text or "{{" in text]
