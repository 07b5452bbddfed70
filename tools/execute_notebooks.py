"""Execute notebooks in place, so that they carry the outputs that the site shows; then clean them as nbdev does.

    python tools/execute_notebooks.py [--slow] [--workers 1] [NOTEBOOK OR FOLDER ...]

Cells that the run leaves out (`#| eval: false`, and `#| slow` without --slow) keep the outputs they have. A notebook
in which a cell fails is left as it was. Running twice gives the same bytes as far as the outputs are deterministic.
"""
import argparse
import re
import sys
import sysconfig
from functools import partial

from execnb.nbio import write_nb
from nbdev.clean import nbdev_clean

import notebooks

_PROGRESS = re.compile(r"\d+%\||\[\d\d:\d\d[<,]|TqdmWarning|from \.autonotebook import")
_CELL_FILE = re.compile(r"\S*ipykernel_\d+/\d+\.py|<ipython-input-[^>]*>")
_PLOT_REPR = re.compile(r"<matplotlib\.|<Axes|<Figure size|<BarContainer|^Text\(")
_KERNEL = {"display_name": "python3", "language": "python", "name": "python3"}


def tidy_text(text):
    """`text` without progress bars and without the places where this machine keeps its files."""
    lines = re.findall(r"[^\n]*\n|[^\n]+$", "".join(text))
    text = "".join(line.rpartition("\r")[2] for line in lines if not _PROGRESS.search(line))
    for place in (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), str(notebooks.ROOT)):
        text = text.replace(place.rstrip("/") + "/", "")
    return _CELL_FILE.sub("<this cell>", text).splitlines(keepends=True)


def tidy_output(output):
    """`output` without execution noise, or None when nothing is left of it."""
    if output["output_type"] == "stream":
        output["text"] = tidy_text(output["text"])
        return output if "".join(output["text"]).strip() else None
    data = output.get("data", {})
    if set(data) == {"text/plain"} and _PLOT_REPR.search("".join(data["text/plain"])):
        return None  # the picture is what the reader wants, not the name of its Python object
    for kind in ("text/plain", "text/markdown"):
        if kind in data:
            data[kind] = tidy_text(data[kind])
    return output


def tidy_cell(cell):
    """Take execution noise and repeated pictures out of a cell's outputs."""
    kept, pictures = [], set()
    for output in filter(None, map(tidy_output, cell.outputs)):
        picture = output.get("data", {}).get("image/png")
        if picture is None or picture not in pictures:
            kept.append(output)
        pictures.add(picture)
    cell.outputs = kept


def execute_one(path, slow):
    """Execute one notebook in this process and save it. Return the exit code."""
    notebook = notebooks.read(path)
    if notebooks.is_skipped(notebook):
        return 3
    cells = [cell for cell in notebook.cells if notebooks.runs(cell, slow)]
    for cell in cells:
        cell.outputs = []
    if not notebooks.execute(path, notebook, slow):
        return 1
    for cell in cells:
        tidy_cell(cell)
    notebook.metadata = {"kernelspec": _KERNEL}
    write_nb(notebook, path)
    nbdev_clean.__wrapped__(fname=str(path))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="notebooks or folders; all when left out")
    parser.add_argument("--slow", action="store_true", help="execute the cells marked `#| slow` too")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=3600, help="seconds that one notebook may take")
    options = parser.parse_args()
    paths, failed = notebooks.find(options.paths), 0
    for path, code, seconds, output in notebooks.run_each(paths, partial(execute_one, slow=options.slow), options.workers, options.timeout):
        failed += code not in (0, 3)
        word = {0: "executed", 3: "skip_exec"}.get(code, "FAILED")
        print(f"{word:10s} {seconds:7.1f} s  {notebooks.name(path)}", flush=True)
        if word == "FAILED":
            print(output, flush=True)
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
