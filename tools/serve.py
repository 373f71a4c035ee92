"""Serve the book while it is written: build it, rebuild what changes, and have the browser show what is new."""

import argparse
import errno
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Event, Thread

import psutil
from watchfiles import watch

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "_build" / "html"
FIRST = (BOOK / "index.html", BOOK / "book" / "index.html")
SOURCES = ("book", "mlmath", "_config.yml", "_toc.yml")
BUILD = ("make", "--no-print-directory", "book")

# Added to each page on its way to the browser: a page that is not of the current edition loads itself again.
SCRIPT = """<script>
new SharedWorker("/-/worker.js").port.onmessage = ({ data }) => data === "EDITION" || location.reload();
</script>
"""
# One connection for all tabs, as a browser opens six at most; it outlasts a server that ends and comes back.
WORKER = """const tabs = [], source = new EventSource("/-/edition");
let edition;
const tell = tab => edition && tab.postMessage(edition);
onconnect = ({ ports: [tab] }) => (tabs.push(tab), tell(tab));
source.onmessage = ({ data }) => { edition = data; tabs.forEach(tell); };
source.onerror = () => { edition = undefined; };
"""

say = partial(print, flush=True)


class Edition:
    """The state of the built book, named by a hash of its files."""

    def __init__(self, folder: Path):
        self.folder, self.renewed = folder, Condition()
        self.renew()

    def renew(self) -> None:
        """Read the book, and wake who waits for another edition of it."""
        digest = hashlib.sha256()
        for file in sorted(file for file in self.folder.rglob("*") if file.is_file()):
            digest.update(f"{file}\0".encode() + file.read_bytes())
        with self.renewed:
            self.name = digest.hexdigest()[:16]
            self.renewed.notify_all()

    def following(self, known: str, timeout: float) -> str:
        """Return the name of the current edition, after waiting a while for another than the known one."""
        with self.renewed:
            self.renewed.wait_for(lambda: self.name != known, timeout)
            return self.name


class Handler(SimpleHTTPRequestHandler):
    """Serves files without a line of log for each; with an edition, its pages keep up with the book."""

    def __init__(self, *args, edition: Edition | None = None, **kwargs):
        self.edition = edition
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        """Serve a file, or the news of the book."""
        if self.edition and self.path == "/-/edition":
            self.tell_editions(self.edition)
        else:
            super().do_GET()

    def send_head(self) -> io.BufferedIOBase | None:
        """Send the headers of a file; a page gets the script that loads it again."""
        name = self.translate_path(self.path)
        page = Path(name, "index.html") if name.endswith("/") else Path(name)
        if self.edition and self.path == "/-/worker.js":
            return self.send_text("text/javascript", WORKER.encode())
        if self.edition and page.suffix == ".html" and page.is_file():
            script = SCRIPT.replace("EDITION", self.edition.name)
            return self.send_text("text/html", page.read_bytes() + script.encode())
        return super().send_head()

    def send_text(self, kind: str, text: bytes) -> io.BytesIO:
        """Send the headers of a text that is no file, and return its body."""
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        return io.BytesIO(text)

    def tell_editions(self, edition: Edition) -> None:
        """Name the current edition and each that follows, until the browser has gone."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        known = ""
        while True:
            name = edition.following(known, timeout=15)
            self.wfile.write(b": still here\n\n" if name == known else f"retry: 1000\ndata: {name}\n\n".encode())
            known = name

    def end_headers(self) -> None:
        """Add the header that keeps yesterday's page out of today's browser."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server that takes it calmly when a browser does not wait for the end of an answer."""

    def handle_error(self, request, client_address) -> None:
        """Report what went wrong, unless the browser has hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(folder: Path = BOOK, port: int = 0, edition: Edition | None = None) -> Server:
    """Return a server of `folder` on this machine, at the port, or at a free one if that is 0."""
    return Server(("127.0.0.1", port), partial(Handler, directory=str(folder), edition=edition))


def server_near(port: int, edition: Edition) -> Server:
    """Return a server of the book at the port; where that cannot be had, say so and take a free one."""
    try:
        return server(BOOK, port, edition)
    except OSError as error:
        http = server(BOOK, 0, edition)
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        say(f"Port {port} {reason}; {http.server_port} serves instead")
        return http


@contextmanager
def running(http: Server) -> Iterator[None]:
    """Answer requests in the background."""
    with http:
        Thread(target=http.serve_forever, args=[0.1], daemon=True).start()
        try:
            yield
        finally:
            http.shutdown()


def is_source(_: object, path: str) -> bool:
    """Say whether the book is made of this file: caches and what editors leave beside a file are not part of it."""
    parts = Path(path).relative_to(ROOT).parts
    passing = any(part.startswith((".", "#")) or part.endswith("~") or part == "__pycache__" for part in parts)
    return bool(parts) and parts[0] in SOURCES and not passing


@contextmanager
def watching(events: SimpleQueue) -> Iterator[None]:
    """Put each set of changed files among the events."""
    ended = Event()

    def look(folders: list[Path], recursive: bool) -> None:
        changes = watch(*folders, watch_filter=is_source, recursive=recursive, stop_event=ended, raise_interrupt=False)
        for changed in changes:
            events.put({str(Path(path).relative_to(ROOT)) for _, path in changed})

    # The settings are looked for in their folder, as an editor may put a new file in place of the old one.
    folders = [ROOT / source for source in SOURCES if (ROOT / source).is_dir()]
    threads = [Thread(target=look, args=args, daemon=True) for args in ((folders, True), ([ROOT], False))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


class Build:
    """One run of `make book`, in a session of its own: Ctrl-C reaches this program alone, which ends the build."""

    def __init__(self):
        # What a `make` around this program has set is not meant for that of the build.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            BUILD, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def end(self) -> None:
        """End the build with all that it has started: notebooks run in sessions of their own."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        for process in (self.process, *family):
            with suppress(psutil.NoSuchProcess):
                process.kill()  # At once: `make` would report anything milder as an error.
        psutil.wait_procs(family, timeout=5)
        self.process.wait()
        # As after a failed build: what Sphinx has half written, or warned of already, is read anew.
        shutil.rmtree(ROOT / "_build" / ".doctrees", ignore_errors=True)


class Desk:
    """Where the book is made: it takes up what happens, one thing after the other."""

    def __init__(self, address: str, edition: Edition):
        self.address, self.edition = address, edition
        self.build: Build | None = Build()
        self.changed: set[str] = set()
        self.shown = False

    def work(self, events: SimpleQueue) -> None:
        """Build and rebuild, until the event `None` comes."""
        try:
            while True:
                with suppress(Empty):
                    event = events.get(timeout=0.1)
                    if event is None:
                        return
                    self.changed |= event
                self.look_around()
        finally:
            if self.build:
                self.build.end()

    def look_around(self) -> None:
        """Show the first page once it is there, see to a build that has ended, begin one if something has changed."""
        if not self.shown and all(page.is_file() for page in FIRST):
            self.show()
        if self.build and self.build.process.poll() is not None:
            self.report(self.build)
            self.build = None
        if self.changed and not self.build:
            names = sorted(self.changed)
            say(f"Changed: {', '.join(names[:3])}{f' and {len(names) - 3} more' * (len(names) > 3)}")
            self.changed = set()
            self.build = Build()

    def show(self) -> None:
        """Say where the book is, and open it where there is a display."""
        self.shown = True
        say(f"The book is served at {self.address} (Ctrl-C stops it)")
        if has_display():
            webbrowser.open(self.address)

    def report(self, build: Build) -> None:
        """Say how the build went; after a good one, the browser gets the new pages."""
        seconds = f"{time.monotonic() - build.began:.1f} s"
        if build.process.returncode == 0:
            self.edition.renew()
            say(f"Built in {seconds}; what changes from now on is built again")
        else:
            say(f"The build failed after {seconds}, see above; the next change starts another")


def has_display() -> bool:
    """Say whether a browser could open a window here."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def main() -> None:
    """Serve until interrupted."""
    events: SimpleQueue = SimpleQueue()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: events.put(None))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="where to serve (default: %(default)s)")
    port = parser.parse_args().port
    if not 0 <= port < 65536:
        parser.error(f"a port is a number from 0 to 65535, not {port}")
    edition = Edition(BOOK)
    http = server_near(port, edition)
    with running(http), watching(events):
        Desk(f"http://127.0.0.1:{http.server_port}/", edition).work(events)
    say("\nStopped.")


if __name__ == "__main__":
    main()
