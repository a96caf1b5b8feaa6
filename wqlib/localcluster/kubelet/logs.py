"""`kubectl logs`: the log of a container, whole or its end, once or for as long as it grows."""

from __future__ import annotations

import re

import tornado.iostream
import tornado.web

from wqlib.localcluster.api.rest import dumps
from wqlib.localcluster.api.server import authorized
from wqlib.localcluster.apimachinery import apierrors
from wqlib.localcluster.apimachinery.jsontypes import parse_time, seconds_since
from wqlib.localcluster.kubelet import podlogs
from wqlib.localcluster.kubelet.containers import Container
from wqlib.localcluster.kubelet.kubelet import Kubelet
from wqlib.localcluster.kubelet.podrequest import PodRequest
from wqlib.localcluster.store import Store


class LogHandler(tornado.web.RequestHandler, PodRequest):
    """`GET .../pods/<name>/log`."""

    def initialize(self, store: Store, kubelet: Kubelet, token: str) -> None:
        self.store, self.kubelet, self.token = store, kubelet, token

    def _number(self, name: str) -> int | None:
        text = self.get_query_argument(name, "")
        if not text:
            return None
        if not re.fullmatch("-?[0-9]{1,18}", text):
            raise apierrors.bad_request(f"invalid {name} {text!r}: it is no number")
        return int(text)

    async def get(self, namespace: str, name: str) -> None:
        try:
            if not authorized(self, self.token):
                raise apierrors.unauthorized()
            await self._get(namespace, name)
        except apierrors.ApiError as error:
            self.set_status(error.code)
            self.set_header("Content-Type", "application/json")
            self.finish(dumps(error.body()))
        except tornado.iostream.StreamClosedError:
            pass

    async def _get(self, namespace: str, name: str) -> None:
        pod, worker = self.find(namespace, name)
        container = self.container(pod, worker, self.get_query_argument("container", ""))
        run = container.restarts
        previous = self.get_query_argument("previous", "") == "true"
        waiting = "waiting" in container.state and not container.log_path(run).exists()
        if previous or waiting:
            run -= 1
        path = container.log_path(run)
        if run < 0 or not path.exists():
            raise apierrors.bad_request(self._absence(container, name))
        tail, limit = self._number("tailLines"), self._number("limitBytes")
        follow = self.get_query_argument("follow", "") == "true"
        self.set_header("Content-Type", "text/plain")
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        out = self._render(self._since(whole), tail)
        if limit is not None:
            out = out[:limit]
        self.write(out)
        await self.flush()
        writer = container.log
        if follow and writer is not None and writer.path == path:
            rest = b""
            async for more in writer.follow(len(whole)):
                *lines, rest = (rest + more).split(b"\n")
                if lines:
                    self.write(self._render([line + b"\n" for line in lines], None))
                    await self.flush()
        self.finish()

    def _absence(self, container: Container, pod_name: str) -> str:
        if self.get_query_argument("previous", "") == "true":
            return f'previous terminated container "{container.name}" in pod "{pod_name}" not found'
        waiting = container.state.get("waiting") or {"reason": "ContainerCreating"}
        why = waiting["reason"]
        if waiting.get("message") and why in ("ErrImagePull", "ImagePullBackOff"):
            why = (
                "image can't be pulled"
                if why == "ErrImagePull"
                else "trying and failing to pull image"
            )
        return f'container "{container.name}" in pod "{pod_name}" is waiting to start: {why}'

    def _since(self, data: bytes) -> list[bytes]:
        lines = data.splitlines(keepends=True)
        seconds = self._number("sinceSeconds")
        moment = self.get_query_argument("sinceTime", "")
        if moment:
            try:
                seconds = int(seconds_since(parse_time(moment).isoformat()))
            except ValueError:
                raise apierrors.bad_request(f"invalid sinceTime {moment!r}") from None
        if seconds is None:
            return lines
        return [line for line in lines if _age(line) <= seconds]

    def _render(self, lines: list[bytes], tail: int | None) -> bytes:
        if tail is not None and tail >= 0:
            lines = lines[max(0, len(lines) - tail) :]
        stamps = self.get_query_argument("timestamps", "") == "true"
        out = []
        fresh = True
        for line in lines:
            record = podlogs.parse(line.rstrip(b"\n"))
            if record is None:
                continue
            stamp = f"{record.time} ".encode() if stamps and fresh else b""
            out.append(stamp + record.text + (b"\n" if record.whole else b""))
            fresh = record.whole
        return b"".join(out)


def _age(line: bytes) -> float:
    record = podlogs.parse(line)
    return seconds_since(record.time[:26] + "Z") if record else 0.0
