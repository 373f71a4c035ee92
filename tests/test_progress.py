"""The progress bar: in a notebook, in a terminal, and where there is neither."""

import sys

import nbformat
import numpy as np
from nbclient import NotebookClient

from mlmath.descent import Adam
from mlmath.network import Dense, Sequential, softmax_cross_entropy
from mlmath.progress import INTERVAL, Progress
from mlmath.training import train

CELL = """
import time
from mlmath.progress import Progress
bar = Progress(3)
for k in range(1, 4):
    if bar.due():
        bar.draw(k, f"step {k}")
    time.sleep({sleep})
bar.close("all 3 steps")
"""


def test_what_stays_in_a_notebook_is_the_last_line_however_quick_the_machine():
    """The stored output is what the cell shows at first, nothing, and the last line: this is what nbval compares."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(CELL.replace("{sleep}", sleep)) for sleep in ("0", "0.12")]
    sent = []

    class Client(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"].endswith("display_data"):
                sent.append((cell_index, msg["msg_type"], msg["content"]["data"]["text/plain"]))
            return super().process_message(msg, cell, cell_index)

    Client(notebook, timeout=60, kernel_name="python3").execute()
    for cell in notebook.cells:
        assert [output.output_type for output in cell.outputs] == ["display_data", "stream"]
        assert cell.outputs[0].data == {"text/plain": "", "text/html": ""}
        assert cell.outputs[1].text == "all 3 steps\n"
    bars = [text for index, kind, text in sent if index == 1 and kind == "update_display_data"]
    assert bars == ["█" * 10 + "░" * 20 + " step 1", "█" * 20 + "░" * 10 + " step 2", "█" * 30 + " step 3", ""]


def test_in_a_terminal_one_line_is_written_anew(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    bar = Progress(2)
    bar.draw(1, "half")
    bar.close("done")
    assert capsys.readouterr().out == "\r" + "█" * 15 + "░" * 15 + " half\033[K\r\033[Kdone\n"


def test_the_bar_is_drawn_now_and_then(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    bar = Progress(9)
    assert bar.due()
    bar.draw(1, "")
    assert not bar.due()
    now[0] += 1.01 * INTERVAL
    assert bar.due()


def test_training_elsewhere_leaves_one_line(capsys):
    rng = np.random.default_rng(0)
    network = Sequential(Dense(2, 2, rng=rng))
    X, y = rng.normal(size=(20, 2)), rng.integers(2, size=20)
    history = train(network, X, y, softmax_cross_entropy, Adam(0.1), epochs=3, batch_size=5, rng=rng, progress=True)
    out = capsys.readouterr().out
    assert out == f"epoch limit after 3 epochs: {history.last}\n"
    assert history.last == f"loss {history.losses[-1]:.3g}, accuracy {history.accuracies[-1]:.3g}"
    train(network, X, y, softmax_cross_entropy, Adam(0.1), epochs=3, batch_size=5, rng=rng)
    assert capsys.readouterr().out == ""
