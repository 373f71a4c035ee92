"""Serve the built book on a free local port, and open a browser where there is one."""

import os
import sys
import webbrowser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BOOK = Path(__file__).parents[1] / "_build" / "html"


class Handler(SimpleHTTPRequestHandler):
    """Serves files without a line of log for each, and has the browser ask whether they changed."""

    def end_headers(self) -> None:
        """Add the header that keeps yesterday's page out of today's browser."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def server(folder: Path = BOOK) -> ThreadingHTTPServer:
    """Return a server of `folder` on a free port of this machine."""
    return ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))


def has_display() -> bool:
    """Say whether a browser could open a window here."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def main() -> None:
    """Serve until interrupted."""
    with server() as http:
        address = f"http://127.0.0.1:{http.server_port}/"
        print(f"The book is served at {address} (Ctrl-C stops it)", flush=True)
        if has_display():
            webbrowser.open(address)
        try:
            http.serve_forever()
        except KeyboardInterrupt:
            print("\nStopped.")


if __name__ == "__main__":
    main()
