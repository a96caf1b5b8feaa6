"""What comes out of pods: logs, commands in them, and events about them."""

from __future__ import annotations

from ..script import Script, pod, scenario


@scenario
def logs(s: Script) -> None:
    """What a pod printed, whole and in parts."""
    # The pause keeps the order: stdout and stderr are read apart.
    script = "for i in 1 2 3 4 5; do echo line $i; done; sleep 0.5; echo to stderr >&2"
    s.quiet("POST", "pods", pod("a", "sh", "-c", script))
    s.until("pods/a", "status.phase", "Succeeded")
    s.get("pods/a/log", tailLines=2)
    s.get("pods/a/log", tailLines=0)
    s.get("pods/a/log", limitBytes=10)
    s.get("pods/a/log", timestamps="true", tailLines=1)
    s.get("pods/a/log", sinceSeconds=3600, tailLines=1)
    s.get("pods/a/log", previous="true")
    s.get("pods/a/log", tailLines=-1)
    s.get("pods/a/log", sinceSeconds=0)
    s.kubectl("logs a")
    s.kubectl("logs a --tail=2")
    s.kubectl("logs a --tail=1 --timestamps")
    s.kubectl("logs a --since=1h --tail=1")
    s.kubectl("logs a --limit-bytes=8")
    s.kubectl("logs a -f")
    s.kubectl("logs a --previous")
    s.kubectl("logs a -c other")
    s.kubectl("logs none")
    s.quiet("POST", "pods", pod("late", "true", nodeSelector={"no": "such"}))
    s.kubectl("logs late")


@scenario
def exec_in_a_pod(s: Script) -> None:
    """Commands in a running pod: output, exit code, input."""
    s.quiet("POST", "pods", pod("a", "sleep", "60"))
    s.kubectl("wait --for=condition=Ready pod/a --timeout=60s")
    s.kubectl("exec a -- echo hello")
    s.kubectl("exec a -- sh -c 'echo out; echo err >&2; exit 3'")
    s.kubectl("exec -i a -- cat", stdin="one\ntwo\n")
    s.kubectl("exec -i a -- sh -c 'wc -c'", stdin="12345" * 10_000)
    s.kubectl("exec a -- no-such-program")
    s.kubectl("exec a -c none -- true")
    s.kubectl("exec none -- true")
    s.kubectl("exec a -- sh -c 'kill -KILL $$'")
    s.quiet("POST", "pods", pod("over", "true"))
    s.until("pods/over", "status.phase", "Succeeded")
    s.kubectl("exec over -- true")


@scenario
def events_of_a_pod(s: Script) -> None:
    """What the scheduler and the kubelet tell of a pod."""
    s.quiet("POST", "pods", pod("a", "true"))
    s.until("pods/a", "status.phase", "Succeeded")
    about = "involvedObject.name=a,involvedObject.kind=Pod"
    s.until(f"events?fieldSelector={about}", "items", lambda items: len(items) > 3)
    show = ("reason", "type", "source.component", "message", "count", "involvedObject.fieldPath")
    s.get("events", fieldSelector=about, show=tuple(f"items.*.{field}" for field in show))
    event = s.quiet("GET", "events", fieldSelector=f"{about},reason=Started")["items"][0]
    s.get(f"events/{event['metadata']['name']}")
    s.kubectl("events --for pod/a", sort=True)
    s.kubectl("get events --sort-by=.reason")
