# %% 04-1 right
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            result = process(lease.item)
        except Exception as error:
            queue.fail(lease, str(error))
            lease = queue.lease(wait_seconds=60)
        else:
            lease = queue.complete_and_lease(lease, result, wait_seconds=60)
    return 0 if queue.drained() else 1


# %% 04-1 right
def work(queue, process):
    while not queue.drained():
        lease = queue.lease(wait_seconds=5)
        if lease is None:
            continue
        try:
            queue.complete(lease, process(lease.item))
        except Exception as error:
            queue.fail(lease, str(error))
    return 0


# %% 04-1 wrong: the loop as it stands
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        lease = queue.complete_and_lease(lease, process(lease.item), wait_seconds=60)
    return 0


# %% 04-1 wrong: a bad item is completed
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            result = process(lease.item)
        except Exception:
            result = None
        lease = queue.complete_and_lease(lease, result, wait_seconds=60)
    return 0 if queue.drained() else 1


# %% 04-1 wrong: stops at the first bad item
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            result = process(lease.item)
        except Exception as error:
            queue.fail(lease, str(error))
            return 1
        lease = queue.complete_and_lease(lease, result, wait_seconds=60)
    return 0


# %% 04-1 wrong: goes home while others hold items
def work(queue, process):
    lease = queue.lease()
    while lease:
        try:
            result = process(lease.item)
        except Exception as error:
            queue.fail(lease, str(error))
            lease = queue.lease()
        else:
            lease = queue.complete_and_lease(lease, result)
    return 0 if queue.drained() else 1


# %% 04-1 wrong: always returns 0
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            result = process(lease.item)
        except Exception as error:
            queue.fail(lease, str(error))
            lease = queue.lease(wait_seconds=60)
        else:
            lease = queue.complete_and_lease(lease, result, wait_seconds=60)
    return 0


# %% 04-1 wrong: forgets the results
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            process(lease.item)
        except Exception as error:
            queue.fail(lease, str(error))
            lease = queue.lease(wait_seconds=60)
        else:
            lease = queue.complete_and_lease(lease, wait_seconds=60)
    return 0 if queue.drained() else 1


# %% 04-1 malicious: wipes the queue
def work(queue, process):
    queue.clear()
    return 0


# %% 04-1 malicious: ends the notebook
def work(queue, process):
    raise SystemExit(0)


# %% 04-1 malicious: never ends
def work(queue, process):
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


# %% 04-2 given
import tempfile
from pathlib import Path

from wqlib.course import bundle

folder = Path(tempfile.mkdtemp(prefix="squares-"))
files = bundle(folder)
(folder / "square.py").write_text("def process(item):\n    return str(int(item) ** 2)\n")
(folder / "worker.py").write_text(
    "import sys\nfrom square import process\nfrom wqlib.worker import run\nsys.exit(run(process))\n"
)


def build(*lines):
    text = "FROM python:3.11-slim\nWORKDIR /app\n" + "\n".join(lines) + "\n"
    (folder / "Dockerfile").write_text(text)
    print(cluster.build_image("squares:1", folder))


# %% 04-2 right
build("COPY wqlib wqlib", "COPY worker.py square.py .", 'CMD ["python", "worker.py"]')
# %% 04-2 right
build("COPY . .", "CMD python worker.py")
# %% 04-2 wrong: as it was
build("COPY wqlib wqlib", "COPY worker.py .", 'CMD ["python", "work.py"]')
# %% 04-2 wrong: only the command is mended
build("COPY wqlib wqlib", "COPY worker.py .", 'CMD ["python", "worker.py"]')
# %% 04-2 wrong: only the file is copied
build("COPY wqlib wqlib", "COPY worker.py square.py .", 'CMD ["python", "work.py"]')
# %% 04-2 wrong: the command runs the task, not the worker
build("COPY wqlib wqlib", "COPY worker.py square.py .", 'CMD ["python", "square.py"]')
# %% 04-2 malicious: does nothing, and does it well
build('CMD ["python", "-c", "print(0)"]')
# %% 04-2 malicious: completes the items with made-up results
(folder / "square.py").write_text("def process(item):\n    return '4'\n")
build("COPY . .", 'CMD ["python", "worker.py"]')
