"""The notebooks are stored in normal form; what nbval does not compare says why. (nbval itself runs on book/.)"""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import notebooks

STORED = sorted(notebooks.BOOK.glob("*.ipynb"))
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip"}


def freshly_run():
    """Return a notebook as Jupyter leaves it."""
    picture = {"image/svg+xml": "<svg/>", "text/plain": "<Figure size 560x340 with 1 Axes>"}
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "3f2a"}, "text/plain": "<descent: rate=0.1>"}
    code = new_code_cell(
        "draw()",
        execution_count=17,
        metadata={"tags": ["hide-input"], "collapsed": False, "execution": {"iopub.status.busy": "now"}},
        outputs=[
            new_output("stream", name="stdout", text="a"),
            new_output("stream", name="stdout", text="b\n"),
            new_output("display_data", data=picture, metadata={"image/svg+xml": {"isolated": True}}),
            new_output("display_data", data={"image/png": "iVBO"}),
            new_output("execute_result", data=view, execution_count=17),
        ],
    )
    metadata = {"widgets": {"state": {}}, "language_info": {"name": "python", "version": "3.11.7"}}
    return new_notebook(cells=[new_markdown_cell("# Title"), code, new_code_cell("draw()")], metadata=metadata)


def test_normal_form_keeps_text_and_drops_pictures_and_widgets():
    _, code, again = notebooks.normalize(freshly_run()).cells
    assert [output.output_type for output in code.outputs] == ["stream", "display_data", "execute_result"]
    assert code.outputs[0].text == "ab\n"
    assert code.outputs[1].data == {"text/plain": "<Figure size 560x340 with 1 Axes>"}
    assert code.outputs[2].data == {"text/plain": "<descent: rate=0.1>"}
    assert code.metadata == {"tags": ["hide-input"]}
    assert (code.execution_count, code.outputs[2].execution_count, again.execution_count) == (1, 1, 2)


def test_normal_form_does_not_depend_on_the_run():
    first, second = freshly_run(), freshly_run()  # cell ids are random
    assert notebooks.text(notebooks.normalize(first)) == notebooks.text(notebooks.normalize(second))


def test_normal_form_is_valid_and_a_fixed_point():
    once = notebooks.normalize(freshly_run())
    nbformat.validate(once)
    assert len({cell.id for cell in once.cells}) == 3
    assert notebooks.text(notebooks.normalize(once)) == notebooks.text(once)


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_notebook_is_normal(path: Path):
    normal = notebooks.text(notebooks.normalize(nbformat.read(path, as_version=4)))
    assert path.read_text() == normal, "`make notebooks` brings it into normal form"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_what_is_not_compared_says_why(path: Path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert "NBVAL" not in cell.source, "use a cell tag"
        if NOT_COMPARED & set(cell.metadata.get("tags", [])):
            assert cell.source.startswith("# Not compared: "), f"the cell must open with its reason:\n{cell.source}"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_notebook_needs_no_file_beside_it(path: Path):
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    reads = re.compile(r"\bopen\(|\bPath\(|read_text|read_bytes|loadtxt|genfromtxt|np\.load\(|\.\./")
    assert [source for source in code if reads.search(source)] == [], "data come from `mlmath.data`"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_an_exercise_that_waits_for_code_says_so_and_shows_no_verdict_on_the_page(path: Path):
    exercise = ""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown" and "{exercise}" in cell.source:
            exercise = cell.source.split("{exercise}")[-1]
        printed = "".join(output.get("text", "") for output in cell.get("outputs", ()))
        if printed.startswith("Not yet"):
            assert "remove-output" in cell.metadata.get("tags", ()), cell.id
            assert "in the notebook" in exercise.lower(), cell.id


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_lines_of_code_fit_on_the_page(path: Path):
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [line for source in code for line in source.splitlines() if len(line) > 80] == []
