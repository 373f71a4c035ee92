"""`make serve`, on a book of one page whose build takes no time, or as long as a test likes."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from urllib.request import urlopen

import psutil
import pytest

SERVE = Path(__file__).parents[1] / "tools" / "serve.py"
PATIENCE = 60  # seconds; nothing here takes that long

# Fails if the source says so; waits while there is a file named "wait", with a process in a session of its own.
BUILD = """
import os, pathlib, subprocess, sys, time
with open("builds", "a") as builds:
    builds.write("x")
source = pathlib.Path("book/index.md").read_text()
if "mistake" in source:
    sys.exit("index.md: that is a mistake")
if os.path.exists("wait"):
    kernel = subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=-3, stderr=-3)
    pathlib.Path("working").write_text(f"{os.getpid()} {kernel.pid}")
    while os.path.exists("wait"):
        time.sleep(0.01)
    kernel.kill()
html = pathlib.Path("_build/html")
(html / "book").mkdir(parents=True, exist_ok=True)
icon = "<link rel=icon href='data:,'>"
(html / "book/index.html").write_text(f"<!doctype html>{icon}<body style='height: 9000px'><h1>{source}</h1>")
(html / "book/style.css").write_text("h1 { color: red }")
(html / "index.html").write_text(f"{icon}<meta http-equiv='Refresh' content='0; url=book/index.html'>")
"""


def until(condition):
    """Wait until the condition holds, and return what it gives."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "this did not happen"
        time.sleep(0.01)
    return value


class Served:
    """The program at work on a folder."""

    def __init__(self, folder: Path, port: int):
        self.folder, self.port = folder, port
        command = [sys.executable, "tools/serve.py", "--port", str(port)]
        hidden = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
        self.process = subprocess.Popen(
            command, cwd=folder, env=hidden, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.lines: Queue[str] = Queue()
        self.said: list[str] = []
        Thread(target=lambda: [self.lines.put(line) for line in self.process.stdout], daemon=True).start()

    def hear(self, pattern: str) -> re.Match:
        """Wait for a line with the pattern."""
        while True:
            try:
                self.said.append(self.lines.get(timeout=PATIENCE))
            except Empty:
                pytest.fail(f"no line with {pattern!r} in {''.join(self.said)}")
            if found := re.search(pattern, self.said[-1]):
                return found

    def address(self) -> str:
        return self.hear(r"served at (\S+)")[1]

    def write(self, text: str) -> None:
        (self.folder / "book" / "index.md").write_text(text)

    def builds(self) -> int:
        return len((self.folder / "builds").read_text())

    def stop(self, name: int = signal.SIGINT) -> None:
        """Interrupt the program, and see that it leaves nothing behind."""
        heard = len(self.said)
        self.process.send_signal(name)
        assert self.process.wait(PATIENCE) == 0
        self.hear("^Stopped")
        assert not re.search(r"Traceback|\*\*\*", "".join(self.said[heard:]))
        with closing(socket.create_server(("127.0.0.1", self.port))):
            pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a book."""
    for name in ("book", "mlmath", "tools"):
        (tmp_path / name).mkdir()
    shutil.copy(SERVE, tmp_path / "tools")
    (tmp_path / "book" / "index.md").write_text("one")
    (tmp_path / "_toc.yml").write_text("root: book/index")
    (tmp_path / "build.py").write_text(BUILD)
    (tmp_path / "Makefile").write_text(f".PHONY: book\nbook:\n\t@{sys.executable} build.py\n")
    return tmp_path


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return free.getsockname()[1]


@pytest.fixture
def serve(folder: Path, port: int):
    """`serve()` starts the program; it is ended after the test, should the test not have done so."""
    started = []

    def start() -> Served:
        started.append(Served(folder, port))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.process.terminate()
        served.process.wait(PATIENCE)
        served.process.stdout.close()


def read(address: str) -> str:
    with urlopen(address, timeout=PATIENCE) as answer:
        return answer.read().decode()


def test_the_address_is_said_when_the_first_page_is_there(serve, folder: Path, port: int):
    (folder / "wait").touch()
    served = serve()
    until((folder / "working").exists)
    assert served.lines.empty()
    (folder / "wait").unlink()
    assert served.address() == f"http://127.0.0.1:{port}/"
    assert "one" in read(f"http://127.0.0.1:{port}/book/")
    served.hear("^Built in")
    served.stop()


def test_an_earlier_build_is_served_at_once(serve, folder: Path):
    subprocess.run(["make", "book"], cwd=folder, check=True)
    (folder / "wait").touch()
    served = serve()
    assert "one" in read(served.address() + "book/index.html")
    assert (folder / "wait").exists(), "the build is still at work"
    served.stop()


def test_a_taken_port(serve, port: int):
    with closing(socket.create_server(("127.0.0.1", port))):
        served = serve()
        other = served.hear(rf"^Port {port} is taken; (\d+) serves instead")[1]
        assert served.address() == f"http://127.0.0.1:{other}/"
    served.stop()


def test_a_port_that_is_none(serve):
    command = [sys.executable, SERVE, "--port", "65536"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert asked.returncode == 2
    assert "a port is a number from 0 to 65535, not 65536" in asked.stderr


def test_pages_get_the_script_and_other_files_do_not(serve, folder: Path):
    served = serve()
    address = served.address()
    served.hear("^Built in")
    html = folder / "_build" / "html"
    for name, file in {"": "index.html", "book/": "book/index.html", "book/index.html?x=1": "book/index.html"}.items():
        disk = (html / file).read_text()
        assert "script" not in disk
        with urlopen(address + name, timeout=PATIENCE) as answer:
            page = answer.read()
            assert int(answer.headers["Content-Length"]) == len(page)
            assert answer.headers["Cache-Control"] == "no-cache"
            assert re.fullmatch(re.escape(disk) + r"<script>.*</script>\n", page.decode(), re.DOTALL)
    assert read(address + "book/style.css") == (html / "book" / "style.css").read_text()
    served.stop()


def test_a_change_is_built_and_told(serve, folder: Path):
    served = serve()
    address = served.address()
    served.hear("^Built in")
    with urlopen(address + "-/edition", timeout=PATIENCE) as news:
        first = next(line for line in news if line.startswith(b"data"))
        for cache in ("book/.ipynb_checkpoints", "mlmath/__pycache__"):
            (folder / cache).mkdir()
            (folder / cache / "file").touch()
        (folder / "notes.txt").touch()
        served.write("two")
        assert next(line for line in news if line.startswith(b"data")) != first
    assert served.hear("^Changed: (.*)")[1] == "book/index.md"
    served.hear("^Built in")
    assert "two" in read(address + "book/")
    (folder / "_toc.new").write_text("root: book/index  # moved into place, as editors do")
    (folder / "_toc.new").rename(folder / "_toc.yml")
    served.hear("^Changed: _toc.yml$")
    served.hear("^Built in")
    assert served.builds() == 3
    served.stop()


def test_changes_during_a_build_are_one_more_build(serve, folder: Path):
    (folder / "wait").touch()
    served = serve()
    until((folder / "working").exists)
    for k in range(5):
        served.write(f"state {k}")
        (folder / "mlmath" / f"{k}.py").touch()
        time.sleep(0.2)
    (folder / "wait").unlink()
    served.hear("^Built in")
    assert served.hear("^Changed: (.*)")[1] == "book/index.md, mlmath/0.py, mlmath/1.py and 3 more"
    served.hear("^Built in")
    assert "state 4" in read(f"http://127.0.0.1:{served.port}/book/")
    served.stop()
    assert served.builds() == 2


def test_a_failing_build_leaves_the_book_as_it_was(serve):
    served = serve()
    address = served.address()
    served.hear("^Built in")
    page = read(address + "book/")
    served.write("a mistake")
    served.hear("index.md: that is a mistake")
    served.hear("^The build failed")
    assert read(address + "book/") == page
    served.write("mended")
    served.hear("^Built in")
    assert "mended" in read(address + "book/")
    served.stop()


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_idle(serve, name: int):
    served = serve()
    served.hear("^Built in")
    served.stop(name)


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("first", [True, False])
def test_stopped_during_a_build(serve, folder: Path, name: int, first: bool):
    served = serve()
    if not first:
        served.hear("^Built in")
    (folder / "wait").touch()
    served.write("more")
    numbers = until(lambda: (folder / "working").exists() and (folder / "working").read_text().split())
    (folder / "_build" / ".doctrees").mkdir(parents=True)
    served.stop(name)
    assert not (folder / "_build" / ".doctrees").exists()
    # A process that has ended may wait for whoever runs the machine to take note.
    states = [psutil.Process(int(number)).status() for number in numbers if psutil.pid_exists(int(number))]
    assert set(states) <= {psutil.STATUS_ZOMBIE}


def test_tabs_show_the_new_page_where_they_were(serve, chromium):
    served = serve()
    address = served.address()
    served.hear("^Built in")
    context = chromium.new_context()
    tabs, complaints = [context.new_page() for _ in range(8)], []  # a browser opens six connections at most
    for tab in tabs:
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(address)
        tab.wait_for_selector("text=one")
    tabs[0].evaluate("scrollTo(0, 3000)")
    served.write("two")
    for tab in tabs:
        tab.wait_for_selector("text=two", timeout=PATIENCE * 1000)
    tabs[0].wait_for_function("scrollY === 3000", timeout=PATIENCE * 1000)
    served.stop()

    served.write("three")
    again = serve()
    for tab in tabs:
        tab.wait_for_selector("text=three", timeout=PATIENCE * 1000)
    again.stop()
    assert complaints == []
    context.close()
