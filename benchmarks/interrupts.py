"""A hundred signals at random moments: does the command stop at once, say so with its exit code, and end with the results of a run that nobody disturbed?

    python benchmarks/interrupts.py                    until 100 signals have met a running command
    python benchmarks/interrupts.py --count 3          a few of them
    python benchmarks/interrupts.py --seed 1           other moments

`scvae-nb denoise --example meuse` runs in a process of its own and gets SIGINT, SIGTERM or SIGKILL at a moment between its start and 1.2 times the
seconds that it takes undisturbed. Then the same command goes on with --resume, or anew where nothing was kept yet, and may be stopped again, until it
ends. What it wrote is held against the files of the undisturbed run. A row per signal: `moment` (s after the start), `seconds` until the process had
ended, `code` (130, 143 and -9 are right), `resumed` (whether there was something to go on from), and `same`: whether the run ended with the same
model and table, byte for byte, and no file was left that the undisturbed run did not have. Rows are in the results as soon as a run has ended: stop
with Ctrl-C and run the same command to go on.
"""
import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

import pandas as pd
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "interrupts.csv"
SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGKILL": -9}
COMPARED = ("model.scvae", "denoised.csv")


def command(output, *options):
    """Start the command."""
    script = ["denoise", "--example", "meuse", "-o", str(output), "--epochs", "4", "--quiet", *options]
    call = [sys.executable, "-c", "from scvae_nb.cli.start import main; main()", *script]
    return subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def content(output):
    """Names of all files of a run, and what the two that hold numbers hold."""
    names = sorted(str(path.relative_to(output)) for path in output.rglob("*"))
    return names, [hashlib.sha256((output / name).read_bytes()).hexdigest() for name in COMPARED]


def undisturbed(folder):
    """Seconds and content of a run that nobody disturbs."""
    start, output = time.perf_counter(), folder / "undisturbed"
    process = command(output)
    said = process.communicate()[1]
    if process.returncode:
        raise SystemExit(f"the undisturbed run ended with {process.returncode}: {said}")
    return time.perf_counter() - start, content(output)


def disturbed(folder, dice, lasts):
    """One run, stopped and resumed until it ends: rows of its signals, and its output."""
    output, rows = folder / "disturbed", []
    shutil.rmtree(output, ignore_errors=True)
    while True:
        kept = (output / "fit.checkpoint").exists()
        process = command(output, *(["--resume"] if kept else []))
        moment, name = dice.uniform(0, 1.2 * lasts), dice.choice(list(SIGNALS))
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(getattr(signal, name))
        sent = time.perf_counter()
        said = process.communicate()[1]
        if process.returncode == 0:
            return rows, output
        rows.append(dict(signal=name, moment=round(moment, 2), seconds=round(time.perf_counter() - sent, 2), code=process.returncode, resumed=kept,
                         traceback="Traceback" in said, said=said.replace(str(output), "OUTPUT").strip().splitlines()[-1][:120] if said.strip() else ""))


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="signals that have met a running command (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the signals (0)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table (benchmarks/results/interrupts.csv)")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    there = pd.read_csv(options.results) if options.results.exists() else pd.DataFrame(columns=["seed", "run"])
    done = there[there.seed == options.seed]
    run = int(done.run.max()) + 1 if len(done) else 0
    with tempfile.TemporaryDirectory() as folder, tqdm(total=options.count, initial=len(done), unit="signal", disable=None) as bar:
        lasts, expected = undisturbed(Path(folder))
        while bar.n < options.count:
            rows, output = disturbed(Path(folder), random.Random(f"{options.seed} {run}"), lasts)
            same = content(output) == expected
            table = pd.DataFrame(rows or [dict(signal="none in time", resumed=False)]).assign(seed=options.seed, run=run, same=same)
            there = pd.concat([there, table], ignore_index=True)
            there.to_csv(options.results, index=False)
            run += 1
            bar.update(len(rows))
    met = there[(there.seed == options.seed) & there.code.notna()]
    right = (met.code == met.signal.map(SIGNALS)).mean()
    print(f"{len(met)} signals in {met.run.nunique()} runs: {right:.0%} of the exit codes right, {met.same.mean():.0%} of the results the same, "
          f"{int(met.traceback.sum())} tracebacks, stopped within {met.seconds.max():.1f} s; results in {options.results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
