"""Run notebooks as tests, each in a process of its own, against the exported modules of scvae_nb.

    python tools/run_notebooks.py [--slow] [--coverage] [--workers 2] [NOTEBOOK OR FOLDER ...]

`nbdev_test` runs the export cells themselves, so that the modules that users import count as never run. Here an
import of the exported module stands in for those cells: the tests meet what users get, and coverage, which leaves
out slow cells, sees it. Those that probably take longest begin first; a line each as it ends, then the ten slowest, then `N passed, N failed`.
"""
import argparse
import contextlib
import os
import re
import subprocess
import sys
from functools import partial

from coverage import Coverage

import notebooks

_DEFAULT_EXP = re.compile(r"^\s*#\|\s*default_exp\s+(\S+)", re.MULTILINE)


def module_of(notebook):
    """The name of the module that a notebook exports to, or None."""
    found = [_DEFAULT_EXP.search(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    names = [match[1] for match in found if match]
    return f"{notebooks.get_config().lib_name}.{names[0]}" if names else None


def use_exported(notebook):
    """Put an import of the exported module in the place of the export cells (private names included)."""
    module = module_of(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and notebooks.EXPORT & cell.directives_.keys()]
    for cell in cells:
        cell.source = ""
    if cells:
        cells[0].source = (
            f"import {module} as _exported\n"
            "globals().update({k: v for k, v in vars(_exported).items() if not k.startswith('__')})"
        )


def run_one(path, slow, coverage):
    """Run one notebook in this process, and measure what it runs if asked to. Return the exit code."""
    notebook = notebooks.read(path)
    if notebooks.is_skipped(notebook):
        print("skip_exec: nothing is run")
        return 3
    use_exported(notebook)
    if not any(notebooks.runs(cell, slow) for cell in notebook.cells):
        print("no cell to run")
        return 3
    measured = Coverage() if coverage else None
    with measured.collect() if coverage else contextlib.nullcontext():
        passed = notebooks.execute(path, notebook, slow)
    if coverage:
        measured.save()
    return 0 if passed else 1


def run_all(paths, slow, coverage, workers, timeout):
    """Run every notebook in its own process, print a line for each. Return how many passed and failed, and [(seconds, path)]."""
    passed, failed, taken = 0, 0, []
    for path, code, seconds, output in notebooks.run_each(
        notebooks.longest_first(paths), partial(run_one, slow=slow, coverage=coverage), workers, timeout
    ):
        passed, failed = passed + (code == 0), failed + (code not in (0, 3))
        taken.append((seconds, path))
        word = {0: "passed", 3: "nothing to run"}.get(code, "FAILED")
        print(f"{word:14s} {seconds:7.1f} s  {notebooks.name(path)}", flush=True)
        if word == "FAILED":
            print(output, flush=True)
    return passed, failed, taken


def slowest(taken, count=10):
    """Lines that name the slowest of [(seconds, path)], the slowest first."""
    return [f"the slowest: {seconds:7.1f} s  {notebooks.name(path)}" for seconds, path in sorted(taken, reverse=True)[:count]]


def report_coverage():
    """Combine what the processes measured and print the table. Return the exit code: 2 is too little coverage."""
    subprocess.run([sys.executable, "-m", "coverage", "combine", "--quiet"], cwd=notebooks.ROOT, check=True)
    return subprocess.run([sys.executable, "-m", "coverage", "report"], cwd=notebooks.ROOT).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="notebooks or folders; all when left out")
    parser.add_argument("--slow", action="store_true", help="run the cells marked `#| slow` too")
    parser.add_argument("--coverage", action="store_true", help="measure scvae_nb, fail when too little of it is run")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=1200, help="seconds that one notebook may take")
    options = parser.parse_args()
    os.environ |= {"COVERAGE_FILE": str(notebooks.ROOT / ".coverage"), "COVERAGE_RCFILE": str(notebooks.ROOT / ".coveragerc")}
    if options.coverage:
        subprocess.run([sys.executable, "-m", "coverage", "erase"], cwd=notebooks.ROOT, check=True)
    passed, failed, taken = run_all(
        notebooks.find(options.paths), options.slow, options.coverage, options.workers, options.timeout
    )
    if not passed + failed:
        print("nothing to run: no notebook has a cell that this tier runs")
    short = report_coverage() if options.coverage and passed + failed else 0
    print(*slowest(taken), f"{passed} passed, {failed} failed", sep="\n", flush=True)
    return 1 if failed or short or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
