"""The explorers on the pages of the built book: every control works, by mouse, by finger and by keyboard."""

from pathlib import Path
from threading import Thread

import pytest
from bs4 import BeautifulSoup

from mlmath.explore import static
from tools.serve import server

PAGES = [
    *("index", "refresher", "linear-regression", "gradient-descent"),
    *("logistic-regression", "neural-networks", "convolutional-networks"),
]
EXPLORERS = {
    *("first-descent", "fit-a-line", "conditioning", "polynomial", "rate-1d", "bowl", "descent", "sgd"),
    *("sigmoid", "newton-vs-descent", "boundary", "threshold"),
    *("activation", "bumps", "backprop", "playground", "depth"),
    *("convolution", "draw-a-digit"),
}
SIZES = [(1280, 800), (360, 780)]
LOCAL = ("http://127.0.0.1:", "file://", "data:", "blob:")


@pytest.fixture(scope="module", params=["http", pytest.param("file", marks=pytest.mark.long)])
def address(request, book: Path):
    """Where the book's pages are: served, or opened from disk."""
    if request.param == "file":
        yield f"{book.as_uri()}/book/"
        return
    with server(book) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/book/"
        http.shutdown()


class Reader:
    """Somebody who reads a page of the book, and notes what goes wrong."""

    def __init__(self, chromium, address: str, **context):
        self.context = chromium.new_context(**context)
        self.page, self.wrong = self.context.new_page(), []
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda asked: None if asked.url.startswith(LOCAL) else self.wrong.append(asked.url))
        self.page.goto(address)
        self.page.wait_for_function(
            "[...document.querySelectorAll('figure.explorer')].every(f => f.dataset.ready === 'true')"
        )
        # Handles, not locators: these would search the whole page again at each step. The exercises' fields are all
        # alike: three of them are enough.
        alike = "figure[data-explorer=question]"
        self.figures = self.page.query_selector_all(f"figure.explorer:not({alike})")
        self.figures += self.page.query_selector_all(alike)[:3]

    def typeset(self) -> None:
        """Have every formula typeset, as for printing; until then, the page moves."""
        typeset = "MathJax.startup.promise.then(() => dispatchEvent(new Event('beforeprint')))"
        self.page.evaluate(f"window.MathJax && {typeset}")
        self.page.evaluate("document.fonts.ready.then(() => null)")

    def figure(self, name: str):
        return self.page.query_selector(f"figure[data-explorer={name}]")

    def redraws(self, figure, act, *to) -> None:
        """Do something to an explorer and see it redrawn, with no NaN in it."""
        before = int(figure.get_attribute("data-frame"))
        act(*to)
        assert figure.evaluate(REDRAWN, before) is None, figure.inner_text()


# What is wrong in the explorer's next picture; an error if there is none.
REDRAWN = """(figure, before) => new Promise((resolve, reject) => {
  const look = () => +figure.dataset.frame > before && resolve(figure.innerHTML.match(/NaN|undefined|Infinity/));
  new MutationObserver(look).observe(figure, { attributes: true });
  setTimeout(() => reject(new Error("the explorer is not redrawn")), 30_000);
  look();
})"""


def to_the_middle(control) -> None:
    """Scroll to where no header of the page covers the control, until it stays there for two frames."""
    control.evaluate(TO_THE_MIDDLE)


TO_THE_MIDDLE = """async node => {
  let before, now;
  do {
    node.scrollIntoView({ block: "center", behavior: "instant" });
    before = node.getBoundingClientRect().y;
    for (const _ of [1, 2]) await new Promise(requestAnimationFrame);
    now = node.getBoundingClientRect().y;
  } while (now !== before);
}"""


def drag(page, knob) -> None:
    box = knob.query_selector(".reach").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 9, y + 7, steps=2)
    page.mouse.up()


def by_mouse(reader: Reader, figure) -> int:
    """Move every control of an explorer by mouse; return how many there are."""
    page, moved = reader.page, 0
    controls, kinds = figure.query_selector_all("input, select, button"), figure.evaluate(KINDS)
    ranges, choices, switches, numbers, buttons = (
        [control for control, found in zip(controls, kinds, strict=True) if found == kind]
        for kind in ("range", "select-one", "checkbox", "text", "button")
    )
    for slider in ranges:
        to_the_middle(slider)
        *at, box = slider.evaluate(AWAY_FROM_THE_THUMB)
        page.mouse.move(*at)
        page.evaluate("new Promise(requestAnimationFrame)")
        reader.redraws(figure, page.mouse.click, *at)
        assert slider.evaluate(AWAY_FROM_THE_THUMB)[2] == box, "it stays where it was, whatever the read-outs say"
        moved += 1
    for choice in choices:
        for option in choice.evaluate("choice => [...choice.options].map(option => option.value)")[::-1]:
            reader.redraws(figure, choice.select_option, option)
        moved += 1
    for switch in switches:
        for _ in range(2):
            reader.redraws(figure, switch.click)
        moved += 1
    for number in numbers:
        for text in ("-0.25", ""):
            number.fill(text)
            reader.redraws(figure, number.press, "Enter")
        moved += 1
    for knob in figure.query_selector_all("[role=slider]:visible"):
        to_the_middle(knob)
        reader.redraws(figure, drag, page, knob)
        moved += 1
    for button in buttons:
        playing = button.get_attribute("name") == "play"
        reader.redraws(figure, button.click)
        if playing and button.evaluate("button => button.innerText === 'Pause' && (button.click(), true)"):
            assert button.inner_text() == "Play"
        moved += 1
    return moved


KINDS = "figure => [...figure.querySelectorAll('input, select, button')].map(control => control.type)"

# A click on the thumb would not move it.
AWAY_FROM_THE_THUMB = """slider => {
  const { x, y, width, height } = slider.getBoundingClientRect();
  const low = slider.value - slider.min < (slider.max - slider.min) / 2;
  return [x + (low ? 0.8 : 0.2) * width, y + height / 2, [x, y, width, height]];
}"""


def by_keyboard(reader: Reader, figure) -> int:
    """Reach and move every control of an explorer by the keyboard alone; return how many there are."""
    page = reader.page
    figure.evaluate(FOCUS_BEFORE)
    reached, end = [], len(figure.query_selector_all(":is(input, select, button, [role=slider]):visible"))
    while len(reached) < end:
        page.keyboard.press("Tab")
        inside, kind, first, lowest = figure.evaluate(FOCUSED)
        assert inside, f"Tab leaves after {reached}"
        reached.append(kind)
        keys = {"range": ["ArrowLeft", "End"], "select-one": ["ArrowUp"], "checkbox": ["Space", "Space"]}
        keys |= {"text": ["Enter"], "button": ["Enter"], "slider": ["ArrowRight", "Shift+ArrowUp"]}
        if kind == "select-one" and first:
            keys["select-one"] = ["ArrowDown"]
        if kind == "range" and lowest:
            keys["range"] = ["ArrowRight"]
        if kind == "text":
            page.keyboard.type("2")
        for key in keys[kind]:
            if not (key == "End" and page.evaluate("document.activeElement.value === document.activeElement.max")):
                reader.redraws(figure, page.keyboard.press, key)
        if kind == "button" and page.evaluate("document.activeElement.textContent") == "Pause":
            page.keyboard.press("Enter")
    return end


FOCUSED = """figure => {
  const node = document.activeElement, { type, value, min, selectedIndex } = node;
  return [figure.contains(node), type ?? node.getAttribute("role"), selectedIndex === 0, +value === +min];
}"""

# Put the focus just before the explorer, so that the next Tab goes to its first control.
FOCUS_BEFORE = """figure => {
  const mark = document.createElement("span");
  mark.tabIndex = -1;
  figure.before(mark);
  mark.focus();
  mark.remove();
}"""


@pytest.mark.parametrize("name", PAGES)
def test_every_control_works(chromium, address, name):
    reader = Reader(chromium, f"{address}{name}.html")
    assert reader.figures
    reader.typeset()
    # Served or from disk, each control is moved in both sizes, in both themes, by mouse and by keyboard.
    themes = ("light", "dark") if address.startswith("http") else ("dark", "light")
    drives = (by_mouse, by_keyboard) if address.startswith("http") else (by_keyboard, by_mouse)
    for (width, height), theme, drive in zip(SIZES, themes, drives, strict=True):
        reader.page.set_viewport_size({"width": width, "height": height})
        reader.page.emulate_media(color_scheme=theme)
        reader.page.wait_for_timeout(300)  # the browser scrolls, a few frames late, to where the page was before
        for figure in reader.figures:
            assert drive(reader, figure) > 0
            assert figure.evaluate("f => f.scrollWidth <= f.clientWidth + 1"), "nothing sticks out"
    assert reader.wrong == []
    reader.context.close()


def test_every_explorer_of_the_chapters_is_in_the_book(book):
    found = []
    for name in PAGES:
        page = BeautifulSoup((book / "book" / f"{name}.html").read_text(), "html.parser")
        found += [figure["data-explorer"] for figure in page.select("figure.explorer")]
        assert len(page.select("script[src*='explorers.js']")) == 1, "one copy of the script a page"
    assert set(found) >= EXPLORERS


@pytest.mark.long
@pytest.mark.parametrize("name", PAGES)
def test_everything_at_once_in_forty_frames(chromium, book, name):
    reader = Reader(chromium, f"{book.as_uri()}/book/{name}.html")
    reader.page.evaluate(RANDOM_MOVES)
    for figure in reader.figures:
        assert int(figure.get_attribute("data-frame")) > 5
        assert not figure.evaluate("figure => /NaN|undefined|Infinity/.test(figure.innerHTML)"), figure.inner_text()
    assert reader.wrong == []
    reader.context.close()


RANDOM_MOVES = """async () => {
  const all = names => [...document.querySelectorAll(`figure.explorer :is(${names})`)];
  const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
  let seed = 1;
  const random = () => (seed = seed * 16807 % 2147483647) / 2147483647;
  const one = list => list[Math.floor(random() * list.length)];
  for (let frame = 0; frame < 40; frame++) {
    for (const control of all("input, select, button")) {
      const { type, min, max } = control;
      if (type === "range") control.value = one([+min, +max, +min + random() * (max - min)]);
      if (type === "text") control.value = one(["", String(1e6 * (random() - 0.5))]);
      if (type === "select-one") control.value = one([...control.options]).value;
      if (type === "checkbox" || type === "button") control.click();
      else control.dispatchEvent(new Event(type === "text" ? "change" : "input", { bubbles: true }));
    }
    for (const knob of all("[role=slider]"))
      knob.dispatchEvent(new KeyboardEvent("keydown", { key: one(keys), shiftKey: true, cancelable: true }));
    await new Promise(requestAnimationFrame);
  }
}"""


def test_without_a_script_the_first_frame_and_a_sentence_remain(chromium, book):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{book.as_uri()}/book/gradient-descent.html")
    for figure in page.locator("figure.explorer:not([data-explorer=question])").all():
        assert figure.locator("svg").first.is_visible()
        assert figure.locator(".first-frame").count() > 0
        assert figure.get_by_text(static.STILL).is_visible()
    context.close()


def test_a_handle_is_large_enough_for_a_finger_and_follows_it(chromium, book):
    reader = Reader(
        chromium, f"{book.as_uri()}/book/gradient-descent.html", viewport={"width": 360, "height": 780}, has_touch=True
    )
    reader.typeset()
    race = reader.figure("descent")
    knob = race.query_selector("[role=slider]")
    to_the_middle(knob)
    box = knob.query_selector(".reach").bounding_box()
    assert min(box["width"], box["height"]) >= 44
    before = race.evaluate("figure => figure.explorer.values().start")
    touch = reader.context.new_cdp_session(reader.page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, points in (("touchStart", [(x, y)]), ("touchMove", [(x + 30, y)]), ("touchEnd", [])):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})
    reader.redraws(race, knob.press, "ArrowUp")
    after = race.evaluate("figure => figure.explorer.values().start")
    assert after[0] > before[0] + 0.1
    assert after[1] > before[1]
    reader.context.close()


def test_play_moves_its_slider_and_is_brief_for_who_prefers_no_motion(chromium, book):
    for motion in ("no-preference", "reduce"):
        reader = Reader(chromium, f"{book.as_uri()}/book/gradient-descent.html", reduced_motion=motion)
        hill = reader.figure("rate-1d")
        steps = hill.query_selector("input[name=steps]")
        play, before = hill.query_selector("button[name=play]"), int(steps.input_value())
        reader.page.clock.install()  # a second of the page's own time, however long it takes here
        reader.page.clock.pause_at(2**41)
        play.click()
        if motion == "reduce":
            reader.page.clock.run_for(1000)
            assert steps.input_value() == steps.get_attribute("max")
        else:
            reader.page.clock.run_for(1000)
            play.click()
            assert before < int(steps.input_value()) < int(steps.get_attribute("max"))
        reader.context.close()


def test_a_diverging_run_says_so(chromium, book):
    reader = Reader(chromium, f"{book.as_uri()}/book/gradient-descent.html")
    race = reader.figure("descent")
    rate = race.query_selector("input[name=rate]")
    reader.redraws(race, rate.fill, rate.get_attribute("max"))
    assert race.query_selector("output[name=gradient_descent]").inner_text() == "diverges"
    reader.context.close()
