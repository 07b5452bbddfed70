"""What reading a survey costs beside reading its file with pandas alone: seconds and memory, 60 elements, up to 1,000,000 samples.

    python benchmarks/reading.py                           what is missing in benchmarks/results/reading.csv
    python benchmarks/reading.py --samples 200000          tables of this many rows only
    python benchmarks/reading.py --older ../old --repeats 1    also the package in another folder, such as a checkout of an older version
    python benchmarks/reading.py --redo                    again, although the results are there

Three kinds of tables are made up, each a csv with an identifier, two coordinates and 60 elements of three decimals, from a seed:

    numbers     nothing but numbers
    limits      every third element holds `<0.5` in a fiftieth of its cells, as text among numbers
    late        as `limits`, but only in the last tenth of the rows, where no sample of the first rows shows it

Each reading runs in a process of its own, so that its memory is its own: `pandas.read_csv` with the engine and the options that it has by
default, then `Survey.read`, which also checks everything. A row is written as soon as its run ends: seconds of the clock, seconds of the
processor (which other programs disturb less), the largest memory of the process, in MiB, and what of it the imports had taken before. Ratios
between rows of one repeat are what counts; the seconds are those of the machine.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "reading.csv"
KEY = ["samples", "table", "reader", "repeat"]
N_ELEMENTS, BLOCK = 60, 50_000


def make(path, n_samples, table, seed=0):
    """Write a made-up table, block by block."""
    from scvae_nb.survey.units import SYMBOLS

    # H, N and Y alone can be heights and coordinates; with a unit all are elements
    names = [f"{symbol}_ppm" for symbol in sorted(SYMBOLS)][:N_ELEMENTS]
    generator = np.random.default_rng(seed)
    for start in range(0, n_samples, BLOCK):
        rows = min(BLOCK, n_samples - start)
        cells = pd.DataFrame(np.exp(generator.normal(2, 1, (rows, N_ELEMENTS))).round(3), columns=names)
        late = np.arange(start, start + rows) >= 0.9 * n_samples
        for name in names[::3] if table != "numbers" else []:
            below = (generator.random(rows) < 0.02) & (late | (table == "limits"))
            cells[name] = cells[name].astype(object).mask(below, "<0.5")
        cells.insert(0, "northing", generator.uniform(7_000_000, 7_100_000, rows).round(1))
        cells.insert(0, "easting", generator.uniform(400_000, 500_000, rows).round(1))
        cells.insert(0, "sample", [f"KT-{number:07d}" for number in range(start, start + rows)])
        cells.to_csv(path, mode="w" if start == 0 else "a", header=start == 0, index=False)


def used():
    """Seconds of the processor and largest memory (MiB) of this process so far."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status")
    # Linux counts to ru_maxrss what the parent held when it started this process; VmHWM is of this process alone
    held = next((int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")), 0) if status.exists() else 0
    return own.ru_utime + own.ru_stime, (held or own.ru_maxrss / (1024 if sys.platform == "darwin" else 1)) / 1024


def measure(path, reader):
    """Read a file in this process and print what it took."""
    if reader != "pandas":
        from scvae_nb import Survey

        # what is imported at the first use is imported by it
        with tempfile.TemporaryDirectory() as folder:
            few = Path(folder) / "few.csv"
            with open(path) as whole:
                few.write_text("".join(line for line, _ in zip(whole, range(200), strict=False)))
            Survey.read(few)
    processor, before = used()
    clock = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        found = pd.read_csv(path) if reader == "pandas" else Survey.read(path)
    seconds, (after, peak) = time.perf_counter() - clock, used()
    limits = 0 if reader == "pandas" else int(found.censored.to_numpy().sum())
    print(json.dumps(dict(seconds=seconds, processor_seconds=after - processor, peak_mib=peak, imports_mib=before, rows=len(found), limits=limits)))


def run(path, reader, folder):
    """`measure` in a process of its own, with the package of a folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, __file__, "--measure", str(path), reader], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{reader} failed on {path}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[20_000, 200_000, 1_000_000], help="rows of the tables")
    parser.add_argument("--tables", nargs="+", choices=["numbers", "limits", "late"], default=["numbers", "limits", "late"])
    parser.add_argument("--repeats", type=int, default=3, help="readings of each table by each reader (default: 3)")
    parser.add_argument("--older", help="a folder with another version of the package, measured too, as reader 'older'")
    parser.add_argument("--redo", action="store_true", help="measure again what is there already")
    parser.add_argument("--measure", nargs=2, metavar=("FILE", "READER"), help="one reading in this process, printed as JSON; used by the benchmark itself")
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure)
        return
    readers = {"pandas": HERE.parent} | ({"older": Path(options.older).resolve()} if options.older else {}) | {"scvae_nb": HERE.parent}
    for n_samples in options.samples:
        for table in options.tables:
            results = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=KEY)
            there = set() if options.redo else set(results[KEY].itertuples(index=False, name=None))
            missing = [(repeat, reader) for repeat in range(options.repeats) for reader in readers if (n_samples, table, reader, repeat) not in there]
            if not missing:
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "table.csv"
                make(path, n_samples, table)
                for repeat, reader in missing:
                    row = dict(zip(KEY, (n_samples, table, reader, repeat), strict=True)) | dict(file_mib=path.stat().st_size / 2**20)
                    row |= run(path, reader, readers[reader])
                    print(row, flush=True)
                    results = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=KEY)
                    results = pd.concat([results, pd.DataFrame([row])], ignore_index=True).drop_duplicates(KEY, keep="last")
                    results.astype(dict(rows=int, limits=int)).sort_values(KEY).round(3).to_csv(RESULTS, index=False)


if __name__ == "__main__":
    main()
