"""The explorers in JupyterLab: ipywidgets whose traits move the picture, and whose picture moves the traits."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, contextmanager

import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from mlmath import explore
from mlmath.explore import static

expect.set_options(timeout=60_000)  # a busy machine is not an error

EXPLORERS = {
    "race": "explore.descent()",
    "fit": "explore.fit_a_line()",
    "own": "explore.descent((1 - x)**2 + 3*y**4, (x, y), start=(-1, 1), rate=0.05, xlim=(-2, 2), ylim=(-1.5, 1.5))",
    "playground": "explore.playground()",
}
NAMES = {"race": "descent", "fit": "fit-a-line", "own": "descent", "playground": "playground"}
THEOREM = """```{prf:theorem} Halves
:label: thm-halves
One half is $\\tfrac12$.
```

By {prf:ref}`thm-halves` and {eq}`eq-one`,

$$ 1 = 1 $$ (eq-one)

```{exercise}
:label: ex-one
Is it?
```"""
IMPORTS = "import ipywidgets, sympy\nfrom mlmath import explore\nx, y = sympy.symbols('x y', real=True)"
# What JupyterLab would ask other hosts for, or paint too late for a test, is switched off.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
OPTIONS = {
    "ServerApp.ip": "127.0.0.1",
    "ServerApp.port_retries": 0,
    "ServerApp.allow_root": True,
    "ServerApp.open_browser": False,
    "IdentityProvider.token": "",
    "LabApp.extension_manager": "readonly",
    "LabApp.expose_app_in_browser": True,
}
READY = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN = """async code => {
    const { commands, shell } = jupyterapp, notebook = shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.length - 1;
    await commands.execute("notebook:insert-cell-below");
    notebook.activeCell.model.sharedModel.setSource(code);
    await commands.execute("notebook:run-cell");
    return notebook.activeCell.model.outputs.toJSON();
}"""


def folders(home):
    """Return the environment in which Jupyter keeps everything of its own under `home`."""
    jupyter = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"]
    lab = ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"]
    return {name: str(home / name) for name in [*jupyter, *lab, "IPYTHONDIR"]}


@contextmanager
def jupyterlab(home):
    """Serve JupyterLab on the folder `home`, where its settings are too; yield its address."""
    for name, values in SETTINGS.items():
        file = home / "JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    options = [f"--{name}={value}" for name, value in (OPTIONS | {"ServerApp.port": port}).items()]
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={home}", *options]
    log = home / "server.log"
    with (
        log.open("w") as sink,
        subprocess.Popen(command, env=os.environ | folders(home), stdout=sink, stderr=sink) as server,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            wait(lambda: answers(f"{address}/api"), 120, lambda: f"JupyterLab does not answer:\n{log.read_text()}")
            yield address
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def wait(condition, seconds, message):
    """Wait until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, message()
        time.sleep(0.05)


class Lab:
    """A notebook open in JupyterLab, in whose new cells the tests run code."""

    def __init__(self, page, address):
        self.page, self.problems = page, []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.refuse_other_hosts(request.url, address))
        page.goto(f"{address}/doc/tree/explorers.ipynb")
        page.wait_for_function(READY, timeout=60_000)

    def refuse_other_hosts(self, url, address):
        if not url.startswith((address, "data:", "blob:")):
            self.problems.append(f"asked another host: {url}")

    def run(self, code):
        """Run `code` in a new cell and return what it printed."""
        outputs = self.page.evaluate(RUN, code)
        errors = ["\n".join(output["traceback"]) for output in outputs if output["output_type"] == "error"]
        assert not errors, errors[0]
        return "".join(output["text"] for output in outputs if output["output_type"] == "stream").strip()

    def show(self, code):
        """Run `code` in a new cell and return the explorers that it shows."""
        self.run(code)
        figures = self.cell(-1)
        expect(figures.first).to_have_attribute("data-ready", "true")
        return figures

    def cell(self, index):
        """Return the explorers of the cell `index`, which stay the same when more cells come."""
        cells = self.page.locator(".jp-CodeCell")
        return cells.nth(index % cells.count()).locator("figure.explorer")

    def until(self, expression, holds):
        """Wait until the value in the kernel of `expression`, a list or a number, fulfils `holds`; return it."""
        found = []

        def fulfilled():
            found[:] = [json.loads(self.run(f"import json; print(json.dumps({expression}))"))]
            return holds(found[0])

        wait(fulfilled, 60, lambda: f"{expression} is {found[0]} in the kernel")
        return found[0]


@pytest.fixture(scope="module")
def notebook(chromium, tmp_path_factory):
    """A notebook with three explorers, all its cells run in JupyterLab."""
    home = tmp_path_factory.mktemp("lab")
    write(home / "explorers.ipynb", IMPORTS, *EXPLORERS.values(), text=THEOREM)
    with jupyterlab(home) as address, closing(chromium.new_context(viewport={"width": 1280, "height": 900})) as context:
        lab = Lab(context.new_page(), address)
        lab.page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        yield lab


@pytest.fixture
def lab(notebook):
    """The notebook; a test fails where a script fails or asks another host."""
    notebook.problems.clear()
    yield notebook
    assert not notebook.problems


def write(path, *cells, text=""):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(code) for code in cells]
    cells += [nbformat.v4.new_markdown_cell(text)] if text else []
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def press(control, key):
    control.focus()
    control.press(key)


def drag(page, knob, dx, dy):
    """Drag `knob` by (dx, dy) pixels, in the small steps of a hand."""
    knob.scroll_into_view_if_needed()
    box = knob.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=12)
    page.mouse.up()


@pytest.mark.parametrize("name", EXPLORERS)
def test_an_explorer_is_alive(lab, name):
    figure = lab.cell(1 + list(EXPLORERS).index(name))
    expect(figure).to_have_attribute("data-ready", "true")
    expect(figure).to_have_attribute("data-explorer", NAMES[name])
    assert figure.locator("svg path.actor[d^=M]").count() > 1, "the marks are drawn"
    assert figure.locator(".first-frame").count() > 0
    assert figure.locator(".first-frame:visible").count() == 0, "the live marks stand in its place"
    inked = "f => f.getContext('2d').getImageData(0, 0, f.width, f.height).data.some(byte => byte)"
    fields = sum(field.evaluate(inked) for field in figure.locator("canvas").all())
    assert fields == (8 if name == "playground" else 0), "the plane, two inputs, four hidden units and an output"
    assert "NaN" not in figure.inner_text()
    frame = int(figure.get_attribute("data-frame"))
    slider = figure.locator("input[type=range]").first
    press(slider, "ArrowRight")
    expect(figure).to_have_attribute("data-frame", re.compile(rf"^(?!{frame}$)\d+$"))


def test_theorems_exercises_and_references_are_shown_as_what_they_are(lab):
    text = lab.page.locator(".jp-MarkdownCell")
    expect(text.get_by_text("Theorem 1 (Halves)")).to_be_visible()
    expect(text.get_by_text("By Theorem 1 and (1)")).to_be_visible()
    expect(text.get_by_text("Exercise 1")).to_be_visible()
    assert "{prf:" not in text.inner_text()
    assert "{eq}" not in text.inner_text()


def test_a_trait_moves_its_control(lab):
    race = lab.show("race = explore.descent()\nrace")
    frame = int(race.get_attribute("data-frame"))
    lab.run("race.rate, race.loss, race.adam, race.start = 0.1, 'Himmelblau', False, (1, 2)")
    expect(race.locator("input[name=rate]")).to_have_value("-1")
    expect(race.locator("label:has(input[name=rate]) output")).to_have_text("0.1")
    expect(race.locator("select[name=loss]")).to_have_value("Himmelblau")
    expect(race.locator("input[name=adam]")).not_to_be_checked()
    expect(race.locator("svg.on .handle")).to_have_attribute("aria-valuetext", "1, 2")
    assert int(race.get_attribute("data-frame")) > frame


def test_a_control_moves_its_trait(lab):
    race = lab.show("race = explore.descent()\nrace")
    rate = race.locator("input[name=rate]")
    press(rate, "ArrowRight")
    lab.until("race.rate", lambda value: value == 0.0105)
    rate.click(position={"x": 2, "y": 8})
    lab.until("race.rate", lambda value: value < 0.0002)
    press(race.locator("select[name=loss]"), "ArrowDown")
    lab.until("race.loss", lambda value: value == "Himmelblau")
    press(race.locator("input[name=newton]"), "Space")
    lab.until("race.newton", lambda value: value is True)
    press(race.locator("svg.on .handle"), "ArrowUp")
    lab.until("race.start", lambda value: value == pytest.approx([-0.5, -0.78]))
    press(race.locator("button[name=play]"), "Enter")
    lab.until("race.steps", lambda value: value > 60)


def test_a_dragged_point_moves_the_data(lab):
    fit = lab.show("fit = explore.fit_a_line()\nfit")
    before = lab.until("fit.points", len)
    drag(lab.page, fit.locator(".knob").first, 15, -40)
    after = fit.evaluate("figure => figure.explorer.values().points")
    lab.until("fit.points", lambda points: points == pytest.approx(np.array(after)))
    assert np.all(np.array(after[0]) > before[0])
    assert after[1:] == before[1:], "only the dragged point moves, though others lie near"
    fit.locator("button[name=best_fit]").click()
    slope, intercept = np.polyfit(*np.transpose(after), 1)
    lab.until("[fit.slope, fit.intercept]", lambda line: line == pytest.approx([slope, intercept]))


def test_a_question_is_judged_when_the_reader_is_done(lab):
    field = lab.show("from mlmath.exercises import ask\nquestion = ask('slope', 7 / 6, hint='Divide.')\nquestion")
    slope, verdict = field.get_by_label("slope (3 digits)"), field.locator("output")
    slope.press_sequentially("7/")
    expect(verdict).to_have_text("")
    slope.press_sequentially("6")
    slope.press("Enter")
    expect(verdict).to_have_text("Right.")
    lab.until("question.answer", lambda value: value == "7/6")
    lab.run("question.answer = '1/0'")
    expect(slope).to_have_value("1/0")
    expect(verdict).to_have_text("Could not read that: it divides by zero.")


def test_an_observer_hears_the_reader(lab):
    race = lab.show(
        "race, heard = explore.descent(), []\nrace.observe(lambda change: heard.append(change.new), 'rate')\nrace"
    )
    press(race.locator("input[name=rate]"), "End")
    lab.until("heard", lambda heard: heard == [1.0])


def test_explorers_stand_side_by_side_and_are_linked(lab):
    figures = lab.show("a, b = explore.descent(), explore.descent()\nipywidgets.HBox([a, b])")
    expect(figures).to_have_count(2)
    expect(figures.last).to_have_attribute("data-ready", "true")
    left, right = (figure.bounding_box() for figure in figures.all())
    assert left["x"] + left["width"] <= right["x"]
    assert right["width"] > 300
    clips = lab.page.locator("clipPath[id^=explorer]").evaluate_all("clips => clips.map(clip => clip.id)")
    assert len(set(clips)) == len(clips), "each picture clips its marks by its own frame"
    lab.run("link = ipywidgets.jslink((a, 'rate'), (b, 'rate'))")
    press(figures.first.locator("input[name=rate]"), "End")
    expect(figures.last.locator("input[name=rate]")).to_have_value("0")
    lab.until("[a.rate, b.rate]", lambda rates: rates == [1.0, 1.0])
    press(figures.last.locator("input[name=rate]"), "Home")
    expect(figures.first.locator("input[name=rate]")).to_have_value("-4")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_the_themes_can_be_read(lab, theme):
    figure = lab.cell(1)
    lab.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    figure.scroll_into_view_if_needed()
    violations = Axe().run(lab.page, context="figure.explorer").response["violations"]
    assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
    ink = figure.locator("svg.on text").first.evaluate("text => getComputedStyle(text).fill")
    paper = lab.page.locator(".jp-NotebookPanel").evaluate("panel => getComputedStyle(panel).backgroundColor")
    darker, lighter = sorted([luminance(ink), luminance(paper)])
    assert (lighter + 0.05) / (darker + 0.05) > 7


def luminance(color):
    """Return the relative luminance of a CSS color rgb(…), as WCAG 2 defines it."""
    shares = np.array(re.findall(r"\d+", color)[:3], dtype=float) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def test_a_run_outside_the_browser_stores_the_state(tmp_path):
    source, run = tmp_path / "source.ipynb", tmp_path / "run.ipynb"
    write(source, IMPORTS, "explore.fit_a_line()")
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", f"--output={run.name}", str(source)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | folders(tmp_path))
    stored = nbformat.read(run, as_version=4)
    view = stored.cells[1].outputs[0].data[static.VIEW]
    state = stored.metadata.widgets[static.STATE].state[view.model_id].state
    same = json.loads(json.dumps({name: state[name] for name in ("spec", "stages", "program", "points", "slope")}))
    fit = explore.fit_a_line()
    assert same == json.loads(json.dumps({name: getattr(fit, name) for name in same}))
