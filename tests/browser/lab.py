"""A real JupyterLab in a real Chromium, for tests that must see what a learner sees.

    with Lab(folder) as lab:
        lab.open("05_run_the_job.ipynb")
        lab.start_all()
        lab.screenshot("build/mid-run.png")
        lab.wait_done()

JupyterLab listens on a free port of 127.0.0.1 with a random token, and keeps its settings
in a temporary folder, so the settings of whoever runs the test neither help nor suffer. All
processes end with the `with` block: server, kernels, browser.

As a program, it runs one notebook and writes screenshots of it:

    python tests/browser/lab.py notebooks/05_run_the_job.ipynb build/ --every 3
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from playwright.sync_api import Browser, Locator, Page, Playwright, sync_playwright

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
START_SECONDS = 90
# What a browser says that has nothing to do with the page.
HARMLESS = re.compile(r"favicon|net::ERR_INTERNET_DISCONNECTED|api\.github|jupyter\.org", re.I)


def find_chromium() -> str | None:
    """Path of a Chromium: `WQLIB_CHROMIUM`, one on PATH, or None for Playwright's own."""
    named = os.environ.get("WQLIB_CHROMIUM")
    return named or next((path for name in CHROMIUMS if (path := shutil.which(name))), None)


_FOLLOW = """selector => {
    const box = document.querySelector(selector);
    const seen = window.wqlibFollowed = {frames: [], heights: [], said: []};
    const seconds = () => performance.now() / 1000;
    const image = box.querySelector('img.widget-image');
    new MutationObserver(() => seen.frames.push(seconds()))
        .observe(image, {attributes: true, attributeFilter: ['src']});
    new ResizeObserver(() => {
        const height = box.getBoundingClientRect().height;
        if (height && seen.heights.at(-1) !== height) seen.heights.push(height);
    }).observe(box);
    const header = box.querySelector('[role="status"]').parentElement;
    let last = header.innerText;
    new MutationObserver(() => {
        if (header.innerText !== last) seen.said.push([seconds(), last = header.innerText]);
    }).observe(header, {childList: true, subtree: true, characterData: true});
}"""


# The lines of the terminal in front, and how many of them begin with a prompt.
_SHOWN = """(() => {
    const buffer = window.jupyterapp.shell.currentWidget.content._term.buffer.active;
    const lines = [];
    for (let i = 0; i < buffer.length; i++) {
        const line = buffer.getLine(i);
        const text = line.translateToString(true);
        if (line.isWrapped) lines[lines.length - 1] += text; else lines.push(text);
    }
    return lines;
})()"""
_PROMPTS = f"{_SHOWN}.filter(line => /^[\\w-]+\\$ /.test(line + ' ')).length"


@dataclass(frozen=True, slots=True)
class Followed:
    """What a browser showed of a view.

    Attributes:
        frames: When its picture changed, in seconds of `Lab.now`.
        heights: The heights that it had, in pixels.
        said: When the text for screen readers changed, and into what.
    """

    frames: list[float]
    heights: list[float]
    said: list[tuple[float, str]]

    def frames_a_second(self, start: float, stop: float) -> list[int]:
        """How many frames each whole second between two moments brought."""
        return [
            sum(start + i <= at < start + i + 1 for at in self.frames)
            for i in range(int(stop - start))
        ]


class Lab:
    """JupyterLab with one browser window.

    Args:
        folder: The root folder that JupyterLab shows.
        width: Of the window, in pixels.
        height: Of the window, in pixels.
        python: The Python that runs JupyterLab and its kernels.
        environment: More variables for JupyterLab and its kernels.
        base_url: Where it serves, as "/user/a/" under JupyterHub and Binder.

    Attributes:
        page: The window, a `playwright.sync_api.Page`.
        console_errors: What the page complained about, except for what is harmless.
        strayed: What the page asked for that is not below the base URL.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        width: int = 1280,
        height: int = 1000,
        python: str = sys.executable,
        environment: dict[str, str] | None = None,
        base_url: str = "/",
    ) -> None:
        self.folder = Path(folder).resolve()
        self.console_errors: list[str] = []
        self.strayed: list[str] = []
        self.page: Page
        self._size = (width, height)
        self._python = python
        self._environment = environment or {}
        self._base_url = base_url
        self._token = secrets.token_urlsafe(24)
        self._stack = contextlib.ExitStack()
        self._url = ""

    def __enter__(self) -> Lab:
        try:
            home = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="wqlib-lab-")))
            self._start_server(home)
            playwright: Playwright = self._stack.enter_context(sync_playwright())
            browser = self._start_browser(playwright)
            self.page = browser.new_page(viewport={"width": self._size[0], "height": self._size[1]})
            self.page.set_default_timeout(30_000)
            self.page.on("console", self._heard)
            self.page.on("pageerror", lambda error: self.console_errors.append(str(error)))
            self.page.on("request", self._asked)
            self.page.on("websocket", self._asked)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._stack.close()

    def open(self, notebook: str) -> None:
        """Open a notebook, and wait until its kernel is ready.

        Args:
            notebook: Its path, from the root folder.
        """
        self._go_to(f"/lab/tree/{notebook}?reset&token={self._token}")

    def open_layout(self, name: str, layout: str) -> None:
        """Open a saved layout, and wait until the notebook in front has its kernel.

        Args:
            name: Its name.
            layout: What a .jupyterlab-workspace file holds.
        """
        reply = self.page.request.put(
            f"{self._url}/lab/api/workspaces/{name}",
            data=layout,
            headers={"Authorization": f"token {self._token}"},
        )
        assert reply.ok, reply.text()
        self._go_to(f"/lab/workspaces/{name}?token={self._token}")

    def _go_to(self, path: str) -> None:
        self.page.goto(self._url + path)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=START_SECONDS * 1000)
        self.wait_for_kernel()

    def wait_for_kernel(self, name: str = "") -> None:
        """Wait until the notebook in front is the one named, if any, and has its kernel."""
        self.page.wait_for_function(
            """name => {
                const panel = window.jupyterapp.shell.currentWidget;
                const kernel = panel?.sessionContext?.session?.kernel;
                return panel?.content?.widgets?.length && kernel?.connectionStatus === 'connected'
                    && kernel?.status === 'idle' && panel.context.path.endsWith(name);
            }""",
            arg=name,
            timeout=START_SECONDS * 1000,
        )

    def start_all(self) -> None:
        """Run all cells, and do not wait for them."""
        self.page.evaluate(
            """() => {
                window.wqlibDone = false;
                window.jupyterapp.commands.execute('notebook:run-all-cells')
                    .then(() => { window.wqlibDone = true; });
            }"""
        )

    def start_cell(self, number: int) -> None:
        """Run one cell, and do not wait for it.

        Args:
            number: Of the cell; the first has 0.
        """
        self.page.evaluate(
            """number => {
                const {shell, commands} = window.jupyterapp;
                shell.currentWidget.content.activeCellIndex = number;
                window.wqlibDone = false;
                commands.execute('notebook:run-cell').then(() => { window.wqlibDone = true; });
            }""",
            number,
        )

    def run_cell(self, number: int, timeout_seconds: float = 180.0) -> str:
        """Run one cell, and wait for it.

        Returns:
            What it printed.
        """
        self.start_cell(number)
        self.wait_done(timeout_seconds)
        return str(
            self.page.evaluate(
                """number => window.jupyterapp.shell.currentWidget.content.widgets[number].model
                    .outputs.toJSON().map(output => output.text ?? '').flat().join('')""",
                number,
            )
        )

    def show_cell(self, number: int) -> Locator:
        """Scroll to a cell, select it, and return it."""
        self.page.evaluate(
            """async number => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                notebook.activeCellIndex = number;
                await notebook.scrollToItem(number, 'center');
            }""",
            number,
        )
        cell = self.page.locator(".jp-NotebookPanel:visible .jp-Cell.jp-mod-active")
        cell.scroll_into_view_if_needed()
        return cell

    def type_into_cell(self, number: int, code: str) -> None:
        """Put code in place of what is in a cell, by keyboard."""
        self.show_cell(number).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(code)

    def in_terminal(self, line: str, timeout_seconds: float = 60.0) -> str:
        """Type a line into the terminal of the layout, and return what it printed.

        The tab of the terminal is in front afterwards.
        """
        self.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="Terminal").click()
        self.page.locator(".jp-Terminal:visible .xterm").click()
        self.page.wait_for_function(f"() => {_PROMPTS} > 0", timeout=timeout_seconds * 1000)
        before = self.page.evaluate(f"() => {_PROMPTS}")
        self.page.keyboard.type(line)
        self.page.keyboard.press("Enter")
        self.page.wait_for_function(
            f"before => {_PROMPTS} > before", arg=before, timeout=timeout_seconds * 1000
        )
        text = str(self.page.evaluate(f"() => {_SHOWN}.join('\\n')"))
        return "\n".join(text.rpartition(line)[2].strip().splitlines()[:-1])

    def save(self) -> None:
        """Save the notebook in front, by keyboard."""
        self.page.keyboard.press("ControlOrMeta+s")
        self.page.wait_for_function(
            "() => !window.jupyterapp.shell.currentWidget.context.model.dirty"
        )

    def restart_kernel(self) -> None:
        """Restart the kernel, as the menu does after its question was answered."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
        )

    def done(self) -> bool:
        """Have all cells run that were started?"""
        return bool(self.page.evaluate("() => window.wqlibDone === true"))

    def wait_done(self, timeout_seconds: float = 180.0) -> None:
        """Wait until all cells have run that were started."""
        self.page.wait_for_function(
            "() => window.wqlibDone === true", timeout=timeout_seconds * 1000
        )

    def run_all(self, timeout_seconds: float = 180.0) -> None:
        """Run all cells, and wait until they have run."""
        self.start_all()
        self.wait_done(timeout_seconds)

    def errors(self) -> list[str]:
        """The errors that stand in the outputs of the notebook."""
        return self.page.locator(
            '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"], '
            '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]'
        ).all_inner_texts()

    def show(self, selector: str) -> None:
        """Scroll until something can be seen, e.g. ".widget-image"."""
        self.page.locator(selector).first.scroll_into_view_if_needed()

    def screenshot(self, path: str | Path) -> Path:
        """Take a picture of the window."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=target)
        return target

    def follow(self, selector: str) -> None:
        """Note from now on what happens to a view: see `followed`.

        Args:
            selector: The box that holds its picture and its texts.
        """
        self.page.evaluate(_FOLLOW, selector)

    def followed(self) -> Followed:
        """What happened since `follow`."""
        return Followed(**self.page.evaluate("() => window.wqlibFollowed"))

    def now(self) -> float:
        """The browser's clock, in seconds, by which `Followed` tells the time."""
        return float(self.page.evaluate("() => performance.now() / 1000"))

    def height(self, selector: str) -> float:
        """Height of the first element of a selector, in pixels."""
        box = self.page.locator(selector).first.bounding_box()
        assert box is not None, f"{selector} cannot be seen"
        return box["height"]

    def _heard(self, message: Any) -> None:
        if message.type == "error" and not HARMLESS.search(f"{message.text} {message.location}"):
            self.console_errors.append(message.text)

    def _asked(self, request: Any) -> None:
        scheme, _, rest = request.url.partition("://")
        if scheme in ("http", "https", "ws", "wss") and not rest.startswith(self._place):
            self.strayed.append(request.url)

    def _start_browser(self, playwright: Playwright) -> Browser:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=list(CHROMIUM_FLAGS)
        )
        self._stack.callback(browser.close)
        return browser

    def _start_server(self, home: Path) -> None:
        port = _free_port()
        environment = {
            **os.environ,
            **self._environment,
            "JUPYTER_TOKEN": self._token,
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
            "IPYTHONDIR": str(home / "ipython"),
        }
        command = [
            *(self._python, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser"),
            *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
            f"--ServerApp.root_dir={self.folder}",
            f"--ServerApp.base_url={self._base_url}",
            "--ServerApp.allow_root=True",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]
        quiet = home / "settings" / "@jupyterlab" / "apputils-extension"
        quiet.mkdir(parents=True)
        (quiet / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
        self._log = home / "server.log"
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._place = f"127.0.0.1:{port}{self._base_url}"
        self._url = f"http://{self._place}".rstrip("/")
        self._stack.callback(self._stop_server, process)
        give_up_at = time.monotonic() + START_SECONDS
        while not self._answers("GET", "/api/status"):
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"JupyterLab did not start:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.2)

    def _answers(self, method: str, path: str) -> bool:
        request = urllib.request.Request(
            self._url + path, method=method, headers={"Authorization": f"token {self._token}"}
        )
        # No proxy: the environment may name one.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as reply:
                return int(reply.status) < 300
        except OSError:
            return False

    def _stop_server(self, process: subprocess.Popen[bytes]) -> None:
        # The server and its kernels by their own ids, noted while they can still be found.
        family = [process.pid]
        with contextlib.suppress(psutil.NoSuchProcess):
            family += [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        kernels = [psutil.Process(pid) for pid in family[1:] if psutil.pid_exists(pid)]
        self._answers("POST", "/api/shutdown")
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        _, alive = psutil.wait_procs(kernels, timeout=5)
        for kernel in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                kernel.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Run one notebook, and write screenshots while it runs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("folder", type=Path, help="where to put the screenshots")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two of them")
    parser.add_argument("--show", default="img.widget-image", help="what to scroll to")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds")
    options = parser.parse_args()
    number = 0
    with Lab(options.notebook.parent) as lab:
        lab.open(options.notebook.name)
        lab.start_all()
        give_up_at = time.monotonic() + options.timeout
        while not lab.done() and time.monotonic() < give_up_at:
            lab.page.wait_for_timeout(options.every * 1000)
            if lab.page.locator(options.show).count():
                lab.show(options.show)
            number += 1
            print(lab.screenshot(options.folder / f"{options.notebook.stem}-{number:02d}.png"))
        report = {"done": lab.done(), "errors": lab.errors(), "console": lab.console_errors}
    print(json.dumps(report, indent=2))
    sys.exit(0 if report["done"] and not report["errors"] else 1)


if __name__ == "__main__":
    main()
