"""Bring the book's notebooks into normal form: text outputs stay, pictures and whatever changes from run to run go.

python -m tools.notebooks             normalize every notebook of book/, in place
python -m tools.notebooks --execute   run them first, where what they can see has changed
python -m tools.notebooks --check     change nothing; name those that are not normal
"""

import argparse
import hashlib
import sys
from collections import Counter
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.executed import Store

BOOK = Path(__file__).parents[1] / "book"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA = {"mystnb", "tags"}


def normal_output(output: NotebookNode, count: int) -> NotebookNode | None:
    """Return `output` with its text alone, None if it has none."""
    if output.output_type == "stream":
        return output
    if output.output_type == "error":
        output.traceback = []
        return output
    output.data = {kind: data for kind, data in output.data.items() if kind.startswith("text/")}
    output.metadata = {}
    if output.output_type == "execute_result":
        output.execution_count = count
    return output if output.data else None


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbors that were written to the same stream: where they were cut is chance."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and last.output_type == output.output_type == "stream" and last.name == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def normalize(notebook: NotebookNode) -> NotebookNode:
    """Return `notebook` in normal form: the same for the same cells and the same text outputs."""
    notebook = deepcopy(notebook)
    notebook.nbformat_minor = 5
    notebook.metadata = nbformat.from_dict(METADATA)
    seen: Counter[str] = Counter()
    count = 0
    for cell in notebook.cells:
        name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[name] += 1
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"
        cell.metadata = {
            key: cell.metadata[key] for key in sorted(CELL_METADATA & cell.metadata.keys()) if cell.metadata[key]
        }
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            outputs = (normal_output(output, count) for output in merge_streams(cell.outputs))
            cell.outputs = [output for output in outputs if output]
    return notebook


def text(notebook: NotebookNode) -> str:
    """Return `notebook` as it is stored."""
    return nbformat.writes(notebook) + "\n"


def main() -> None:
    """Normalize, run or check, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--execute", action="store_true", help="run the notebooks first")
    what.add_argument("--check", action="store_true", help="change nothing; name the notebooks that are not normal")
    options = parser.parse_args()
    strange, paths, store = [], sorted(BOOK.glob("*.ipynb")), Store()
    if options.execute:
        store.run(paths)
    for path in paths:
        notebook = store.executed(path) if options.execute else nbformat.read(path, as_version=4)
        stored = text(normalize(notebook))
        if options.check and path.read_text() != stored:
            strange.append(path.name)
        elif not options.check:
            path.write_text(stored)
    if strange:
        sys.exit(f"Not in normal form: {', '.join(strange)}. `make notebooks` mends that.")


if __name__ == "__main__":
    main()
