"""Slider to pixels: how soon, and for how much work, each explorer of the built book follows the reader's hand.

`python benchmarks/explorers.py [FOLDER]` moves every control of every explorer on the pages in FOLDER (without it,
those of `make book`) 200 times in Chromium, and prints a Markdown table. For each move it notes

- whether the new picture is in the very next frame: `data-frame` must have been counted once that frame's
  animation callbacks have run, so that the frame which is then painted holds the new picture;
- the work on the main thread: the event's handlers, then, in that frame, every animation callback (the redraw among
  them) and the style and layout of the page that follow, forced by asking for the figure's size.

Painting, which Chromium does after that on other threads, is not part of it.
"""

import argparse
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

BOOK = Path(__file__).parents[1] / "_build" / "html"
MOVES = 200
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
HURRIED = [
    "--disable-frame-rate-limit",
    "--disable-gpu-vsync",
]  # a frame follows at once, or all this would take an hour

READY = "figure.explorer[data-ready]"
CONTROLS = "input, select, button, [role=slider]"
MEASURE = """
async (control, moves) => {
  const figure = control.closest("figure.explorer"), picture = control.ownerSVGElement;
  const between = (low, high) => low + Math.random() * (high - low);
  const pick = list => list[Math.floor(Math.random() * list.length)];
  const pressed = picture?.querySelector(".sheet") ?? control;             // a drawing is pressed anywhere
  const send = (type, event = new Event(type, { bubbles: true })) => pressed.dispatchEvent(event);

  const move = () => {
    if (picture) {
      const box = picture.getBoundingClientRect();
      const at = { clientX: between(box.left, box.right), clientY: between(box.top, box.bottom) };
      return () => send("pointermove", new PointerEvent("pointermove", at));
    }
    if (control.localName === "button") return () => control.click();
    if (control.type === "checkbox") { control.checked = !control.checked; return () => send("input"); }
    if (control.localName === "select") control.value = pick([...control.options]).value;
    else if (control.type === "range") control.value = between(+control.min, +control.max);
    else control.value = between(-10, 10);
    return () => send(control.type === "text" ? "change" : "input");
  };

  const measure = () => new Promise(resolve => {
    const act = move(), before = figure.dataset.frame;
    figure.getBoundingClientRect();
    let began, handled;
    requestAnimationFrame(() => { began = performance.now(); });        // the frame's first callback of ours,
    const sent = performance.now();
    act();
    handled = performance.now() - sent;
    requestAnimationFrame(() => {                                       // and its last
      const fresh = figure.dataset.frame !== before;
      figure.getBoundingClientRect();
      resolve([handled + performance.now() - began, fresh]);
    });
  });

  // A script's pointer cannot be captured; what is pressed is told that it was.
  if (picture) pressed.hasPointerCapture = () => true;
  control.scrollIntoView({ block: "center" });
  const measured = [];
  for (let i = 0; i < moves + 5; i++) {                                 // the first five warm up
    measured.push(await measure());
    figure.explorer.stop();                                             // a playing explorer would move by itself
    await new Promise(requestAnimationFrame);                           // a late redraw must not pass for the next one
    await new Promise(resolve => setTimeout(resolve));
  }
  return measured.slice(5);
}
"""


@contextmanager
def chromium(*more):
    """Start Chromium, with `more` flags."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        sys.exit("This benchmark drives the browser Chromium, which is missing.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*FLAGS, *more])
        yield browser
        browser.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=BOOK)
    paths = sorted(parser.parse_args().folder.rglob("*.html"))
    pages = [path for path in paths if 'class="explorer"' in path.read_text()]
    if not pages:
        sys.exit("There is no page with an explorer. Build the book first: make book")
    with chromium(*HURRIED) as browser:
        print(f"{MOVES} moves of each control, Chromium {browser.version} on {os.cpu_count()} cores\n")
        print("| explorer | controls | moves | median | 95 % | most | in the next frame |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for path in pages:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(path.as_uri())
            # With every formula typeset, as after the page has been read, there is most to be laid out.
            page.evaluate("window.MathJax?.startup.promise.then(() => dispatchEvent(new Event('beforeprint')))")
            # The exercises' number fields are all alike: one of them is enough.
            figures = {figure.get_attribute("data-explorer"): figure for figure in page.query_selector_all(READY)}
            for name, figure in figures.items():
                controls = figure.query_selector_all(CONTROLS)
                work, fresh = np.array([move for c in controls for move in c.evaluate(MEASURE, MOVES)]).T
                middle, high = np.percentile(work, [50, 95])
                print(f"| {name} | {len(controls)} | {len(work)} | {middle:.1f} ms | {high:.1f} ms ", end="")
                print(f"| {work.max():.1f} ms | {fresh.mean():.1%} |", flush=True)
            page.close()


if __name__ == "__main__":
    main()
