"""What the tools of this folder share: which notebooks there are, which of their cells run, and how one is run.

The rules are those of `nbdev_test`: folders and files whose names begin with `_` or `.` are left out, cells under
`#| eval: false` never run, cells under a flag of `tst_flags` (here `#| slow`) run only when asked for.
"""
import contextlib
import os
import re
import signal
import sys
import tempfile
import threading
import time
from functools import partial
from importlib import import_module
from pathlib import Path

from execnb.nbio import read_nb
from execnb.shell import CaptureShell
from nbdev.config import get_config
from nbdev.doclinks import nbglob
from nbdev.frontmatter import FrontmatterProc
from nbdev.process import NBProcessor

from forks import fork

ROOT = Path(__file__).resolve().parents[1]
EXPORT = {"export", "exporti", "exports"}
_LOADED_ONCE = "matplotlib.pyplot nbdev.showdoc pandas pyro scipy.stats sklearn.base torch".split()
_SLOW_CELL = re.compile(r'^\s*"#\|\s*slow\b', re.MULTILINE)


def find(paths=None):
    """The notebooks among `paths` (files or folders), or all of the project."""
    paths = [Path(path) for path in paths or [get_config().nbs_path]]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise SystemExit(f"no such notebook or folder: {', '.join(missing)}")
    found = [[path] if path.is_file() else nbglob(path, as_path=True) for path in paths]
    return sorted({path.resolve() for group in found for path in group})


def longest_first(paths):
    """`paths` in an order in which workers end together: the notebooks that probably take longest come first.

    Nothing is measured and nothing has to be kept up to date: those with most slow cells come first, then the largest."""
    def weight(path):
        text = path.read_text(encoding="utf-8")
        return len(_SLOW_CELL.findall(text)), len(text)

    return sorted(paths, key=weight, reverse=True)


def name(path):
    """A notebook's path as people write it."""
    path = Path(path).resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def read(path):
    """A notebook as it is saved, every cell with its `directives_`, and its front matter."""
    notebook = read_nb(path)
    processed = NBProcessor(nb=notebook, rm_directives=False).nb
    notebook.frontmatter_ = getattr(NBProcessor(path, procs=FrontmatterProc, process=True).nb, "frontmatter_", {})
    return processed


def is_slow(cell):
    """Whether `cell` is one that a quick run leaves out."""
    return bool(cell.directives_.keys() & set(get_config().tst_flags.split()))


def runs(cell, slow):
    """Whether `cell` is code that a run executes; `slow` says whether the slow ones belong to the run."""
    return (
        cell.cell_type == "code"
        and bool(cell.source.strip())
        and cell.directives_.get("eval:", [""])[0].lower() != "false"
        and (slow or not is_slow(cell))
    )


def is_skipped(notebook):
    """Whether the front matter says `skip_exec: true`."""
    return str(notebook.frontmatter_.get("skip_exec", False)).lower() in ("true", "1", "yes")


def execute(path, notebook, slow):
    """Run the cells of `notebook` in this process, from the notebook's folder; an exception stops it.

    Coverage does not measure slow cells: what they call is called by quick ones too, and they end a quarter sooner.
    Its tracer is taken off and put back; `Coverage.stop` and `start` end in an error once torch is loaded."""
    os.environ["IN_TEST"] = "1"
    shell = CaptureShell(path, mpl_format="png")
    tracers = [(where.settrace, where.gettrace()) for where in (sys, threading)]

    def is_left_out(cell):
        for settrace, tracer in tracers:
            settrace(None if is_slow(cell) else tracer)
        return not runs(cell, slow)

    try:
        with contextlib.chdir(Path(path).parent):
            shell.run_all(notebook, exc_stop=True, preproc=is_left_out)
    except Exception:
        if shell.exc is None:
            raise
        sys.stderr.write(shell.prettytb(fname=name(path)))
        return False
    return True


def run_each(paths, work, workers, timeout):
    """Run `work(path)`, which returns an exit code, in a process of its own for each path, begun in the order of `paths`.

    The processes are forks of this one, which has loaded what most notebooks import and nothing of the package: to load torch
    and matplotlib anew for each took a tenth of the time of all.
    Yields (path, exit code, seconds, what it printed), each as soon as it has ended."""
    for library in _LOADED_ONCE:
        import_module(library)
    assert "scvae_nb" not in sys.modules, "the package is loaded: notebooks would not meet it anew, nor coverage"
    sys.path.insert(1, str(ROOT))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    waiting, running = list(paths), {}
    with tempfile.TemporaryDirectory() as scratch:  # a fork ends without clearing up: what notebooks leave there goes with it
        os.environ["TMPDIR"] = tempfile.tempdir = scratch
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    path, printed = waiting.pop(0), open(Path(scratch, f"printed_{len(waiting)}"), "w+", errors="replace")
                    running[fork(partial(work, path), printed)] = path, printed, time.monotonic()
                for process, (path, printed, start) in list(running.items()):
                    ended, status = os.waitpid(process, os.WNOHANG)
                    seconds = time.monotonic() - start
                    if not ended and seconds > timeout:
                        os.killpg(process, signal.SIGKILL)
                        ended, status = os.waitpid(process, 0)
                        print(f"\n{name(path)} was stopped after {timeout} seconds", file=printed, flush=True)
                    if ended:
                        del running[process]
                        with printed:
                            printed.seek(0)
                            yield path, os.waitstatus_to_exitcode(status), seconds, printed.read()
                time.sleep(0.05)
        finally:
            for process in running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process, signal.SIGKILL)
