"""Compare scvae_nb with every baseline on simulated surveys whose truth is known. One command, and it can be stopped.

    python benchmarks/versus.py                              everything that is missing in the results
    python benchmarks/versus.py --list                       what there is to do and how long it takes; runs nothing
    python benchmarks/versus.py --only main small            some experiments
    python benchmarks/versus.py --method kriging --seed 0    some methods, some seeds
    python benchmarks/versus.py --redo scvae_nb              this method again, although its results are there
    python benchmarks/versus.py --retry                      cells that ended in an error, again

Each cell (a method on a survey) runs in a process of its own with one thread and no GPU, so that its seconds and its memory are its own. Its
row is in the results as soon as it ends: stop with Ctrl-C (or pull the plug) and run the same command to go on. A
cell that fails is written with what it said and does not stop the rest. Surveys are simulated once and kept in
`--cache`. Afterwards execute nbs/evaluation/60_versus.ipynb: it turns the results into tables and pictures.
"""
import argparse
import contextlib
import dataclasses
import datetime
import fcntl
import importlib.metadata
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from plan import EXPERIMENTS, LABELS, plan

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "versus.csv"
KEY = ["experiment", "work"]
SURVEY = ["n_samples", "n_elements", "mixing", "noise", "nugget_share", "contamination", "censored"]
SCORES = ["rmse", "mae", "noise_left", "crps", "coverage_50", "coverage_80", "coverage_90", "coverage_95", "fit_seconds", "denoise_seconds",
          "cpu_seconds", "peak_memory_mib", "memory_before_mib"]
LIBRARIES = ["scvae_nb", "torch", "pyro-ppl", "numpy", "scipy", "pandas", "scikit-learn", "gstools", "gpytorch"]
COLUMNS = ["experiment", "method", "options", "seed", *SURVEY, "status", "note", *SCORES, "date", "commit", "python",
           *LIBRARIES, "cores", "cpu", "workers", "work"]


# The results


def read_results(path):
    """The rows that are there, by (experiment, work)."""
    if not Path(path).exists():
        return {}
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return {(row["experiment"], row["work"]): row for row in table.to_dict("records")}


def write_rows(path, new, order):
    """Put rows in the table, over older ones of the same cells. The file is replaced whole, so that it is never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # two of these commands may run at a time
        rows = read_results(path) | {(row["experiment"], row["work"]): row for row in new}
        rows = sorted(rows.values(), key=lambda row: order.get((row["experiment"], row["work"]), len(order)))
        draft = path.with_suffix(".draft")
        pd.DataFrame(rows, columns=COLUMNS).to_csv(draft, index=False)
        os.replace(draft, path)
    finally:
        os.close(folder)


def describe_cell(cell):
    """The columns of a row that say what was run."""
    survey = {name: cell.survey.get(name, "") for name in SURVEY}
    survey["nugget_share"] = format(survey["noise"] ** 2 / (1 + survey["noise"] ** 2), ".4g")
    options = json.dumps(cell.options, sort_keys=True) if cell.options else ""
    return {"experiment": cell.experiment, "method": cell.method, "options": options, "seed": cell.seed, "work": cell.work} | survey


def describe_machine(workers):
    """The columns of a row that say with what it was run."""

    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)
        return done.stdout.strip()

    # the commit that last changed what the results depend on; + for changes that are in none
    folders = [f"../scvae_nb/{wing}" for wing in ("survey", "geostatistics", "model", "evaluation")]
    commit = git("log", "-1", "--format=%h", "--abbrev=10", "--", *folders) + ("+" if git("status", "--porcelain", "--", *folders) else "")
    versions = {}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {"commit": commit, "python": platform.python_version(), **versions,
            "cores": os.cpu_count(), "cpu": names[0] if names else platform.processor(), "workers": workers}


def _cpuinfo():
    with contextlib.suppress(OSError):
        return Path("/proc/cpuinfo").read_text().splitlines()
    return []


# The processes


class Runner:
    """Runs cells in processes of their own; `stop` ends those that it started.

    All are forked from one process that has loaded the libraries and done nothing else: seconds saved at every start, and the same code for
    all cells even if a file changes on the way.
    """

    def __init__(self, cache, timeout):
        self.cache, self.timeout = str(cache), timeout
        self.surveys, self.guard, self.processes, self.stopped = defaultdict(threading.Lock), threading.Lock(), set(), False
        os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
        os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1",
                       "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["__main__", "cell", "scvae_nb.model.denoiser", "scvae_nb.evaluation.baselines"])

    def run(self, cell):
        """Scores and times of a cell, or what went wrong."""
        if cell.reason:
            return {"status": "not run", "note": cell.reason}
        with self.guard:
            lock = self.surveys[cell.survey_name]
        with lock:  # one of two workers makes the survey, the other waits
            made = self.process("prepare", cell)
        return made if made["status"] == "error" else self.process("run", cell)

    def process(self, do, cell):
        """Let a process do a job of benchmarks/cell.py and return what it answers."""
        with tempfile.TemporaryDirectory() as folder:
            answer, log = Path(folder) / "answer.json", Path(folder) / "log.txt"
            job = {"do": do, "cell": dataclasses.asdict(cell), "cache": self.cache}
            with self.guard:
                if self.stopped:
                    raise InterruptedError
                process = self.context.Process(target=run_job, args=(job, str(answer), str(log)))
                process.start()
                self.processes.add(process)
            try:
                process.join(self.timeout)
                if process.is_alive():
                    process.kill()
                    process.join()
                    return {"status": "error", "note": f"stopped after {self.timeout} s"}
            finally:
                self.processes.discard(process)
            if self.stopped:
                raise InterruptedError
            if answer.exists():
                return json.loads(answer.read_text())
            last = " ".join(log.read_text(errors="replace").split())[-200:] if log.exists() else ""
            return {"status": "error", "note": f"the process ended with code {process.exitcode} (-9: out of memory?) {last}"}

    def stop(self):
        """End what is running; nothing new starts."""
        with self.guard:
            self.stopped = True
            for process in list(self.processes):
                process.kill()


def run_job(job, answer, log):
    """What a process does: its own session, so that Ctrl-C reaches the command alone, which then ends the others."""
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1), os.dup2(output, 2)
    import cell

    cell.main(job, answer)


# The command


def choose(options, done):
    """What is to be run, {work: [cells]}, and rows that are known already from another experiment."""
    chosen, copies, known = defaultdict(list), [], {row["work"]: row for row in done.values()}
    for cell in plan():
        if not ((not options.only or cell.experiment in options.only) and (not options.method or cell.method in options.method)
                and (options.seed is None or cell.seed in options.seed) and cell.survey["n_samples"] <= options.largest):
            continue
        row = known.get(cell.work)
        again = row is not None and ((cell.method in options.redo and row["date"] < options.since)
                                     or (options.retry and row["status"] == "error"))
        if row is None or again:
            chosen[cell.work].append(cell)
        elif (cell.experiment, cell.work) not in done:
            copies.append({**row, **describe_cell(cell)})
    return chosen, copies


def show(chosen, done):
    """Print the work by experiment and method, and its cost."""
    cells = pd.DataFrame([{"experiment": cells[0].experiment, "method": cells[0].method, "minutes": cells[0].seconds / 60}
                          for cells in chosen.values()], columns=["experiment", "method", "minutes"])
    table = cells.groupby(["experiment", "method"], sort=False)["minutes"].agg(["size", "sum"])
    table.columns = ["cells", "minutes of one core"]
    print(table.round(1).to_string() if len(table) else "nothing is missing")
    failed = sum(row["status"] == "error" for row in done.values())
    print(f"to run: {len(cells)} cells, about {cells['minutes'].sum():.0f} minutes of one core; in the results: {len(done)} rows, {failed} errors")


def perform(chosen, runner, options, order):
    """Run the cells; write each as it ends. Return how many ended in an error."""
    machine, errors = describe_machine(options.workers), 0
    total = sum(cells[0].seconds for cells in chosen.values())
    bar = tqdm(total=round(total), unit="s", bar_format="{percentage:3.0f}%|{bar}| {elapsed}<{remaining} {desc}", disable=None)
    pool = ThreadPoolExecutor(options.workers)
    waiting = {pool.submit(runner.run, cells[0]): cells for cells in chosen.values()}
    try:
        for count, future in enumerate(as_completed(waiting), 1):
            cells, row = waiting[future], future.result()
            row |= machine | {"date": now()}
            row |= {name: format(row[name], ".5g") for name in SCORES if name in row}
            write_rows(options.results, [{**row, **describe_cell(cell)} for cell in cells], order)
            bar.update(round(cells[0].seconds))
            told = f"{count} of {len(chosen)} cells; {cells[0].experiment}, {cells[0].method}: {row.get('rmse', row['status'])}"
            print(told, flush=True) if bar.disable else bar.set_description_str(told)  # no bar in a log file
            if row["status"] == "error":
                errors += 1
                bar.write(f"{cells[0].experiment}: {cells[0].work}: {row['note']}")
    finally:
        runner.stop()
        pool.shutdown(cancel_futures=True)
        bar.close()
    return errors


def now():
    return datetime.datetime.now().isoformat(timespec="seconds")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="say what would be run and how long it takes, and end")
    parser.add_argument("--only", nargs="+", metavar="EXPERIMENT", choices=EXPERIMENTS, help=f"of {', '.join(EXPERIMENTS)}")
    parser.add_argument("--method", nargs="+", metavar="METHOD", choices=LABELS, help=f"of {', '.join(LABELS)}")
    parser.add_argument("--seed", nargs="+", type=int, help="only these seeds")
    parser.add_argument("--largest", type=int, default=10**9, metavar="N", help="only surveys of at most N samples")
    parser.add_argument("--redo", nargs="+", metavar="METHOD", choices=LABELS, default=[], help="run these methods again")
    parser.add_argument("--since", default="9999", metavar="DATE", help="with --redo: keep rows from this date on, such as 2026-05-01T12:00")
    parser.add_argument("--retry", action="store_true", help="run cells again that ended in an error")
    parser.add_argument("--workers", type=int, default=1, help="cells at a time; each needs a core of its own (1)")
    parser.add_argument("--timeout", type=int, default=1800, help="seconds that one cell may take (1800)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table (benchmarks/results/versus.csv)")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "scvae_nb_versus", help="where surveys are kept")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # kill ends the processes as Ctrl-C does
    order = {(cell.experiment, cell.work): place for place, cell in enumerate(plan())}
    done, started = read_results(options.results), now()
    chosen, copies = choose(options, done)
    show(chosen, done)
    if options.list:
        return 0
    if copies:
        write_rows(options.results, copies, order)
    runner = Runner(options.cache, options.timeout)
    try:
        errors = perform(chosen, runner, options, order)
    except KeyboardInterrupt:
        again = f" --redo {' '.join(options.redo)} --since {started}" if options.redo else ""
        print(f"\nstopped; what was finished is in {options.results}. To go on, run the same command again{again and ' with' + again}.")
        return 130
    rows = read_results(options.results)
    print(f"{len(rows)} rows in {options.results} ({len(chosen)} cells run, {errors} errors). "
          "Next: python tools/execute_notebooks.py nbs/evaluation/60_versus.ipynb")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
