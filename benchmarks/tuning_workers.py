"""Do two processes that share a study on PostgreSQL finish it in half the time? Pairs of runs, one worker and two, in turn.

    python benchmarks/tuning_workers.py                       three pairs of 8 trials; writes benchmarks/results/tuning_workers.csv
    python benchmarks/tuning_workers.py --trials 12 --pairs 5
    python benchmarks/tuning_workers.py --url postgresql+psycopg://user@host/name    a server that is running already

Needs PostgreSQL (on the PATH or in /usr/lib/postgresql; Debian: apt-get install postgresql) and the extra `distributed`. A server of its own is started
in a temporary folder, on a Unix socket, and stopped at the end. Workers have one thread each and are started before the clock: what is measured is the
study, from "go" to the end of the last trial. Trials differ in parameters that do not change how long a fit takes (learning rate, strength of the
neighbour penalty), and none is pruned, so that both runs do the same work. A pair runs one after the other on the same machine; its order changes from
pair to pair. `cpu_seconds` is what all workers used: where two used far more than one, or where `busy` (processor time of other processes over the time
there was) is high, others disturbed the run.
"""
import argparse
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "tuning_workers.csv"


def find_postgres():
    """Folder of the server's programs, or None."""
    if shutil.which("initdb") and shutil.which("postgres"):
        return Path(shutil.which("initdb")).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: [int(part) for part in path.parts if part.isdigit()])
    return found[-1].parent if found else None


@contextlib.contextmanager
def postgres(programs):
    """A running server; yields the URL of an empty database. As root it runs as an unprivileged user, since PostgreSQL refuses root."""
    home, unprivileged = tempfile.mkdtemp(prefix="pg"), {}
    if os.getuid() == 0:
        name = next(user.pw_name for user in pwd.getpwall() if user.pw_name in ("postgres", "nobody"))
        unprivileged = dict(user=name, group=pwd.getpwnam(name).pw_gid, extra_groups=[])
        shutil.chown(home, name)
    quiet = dict(cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **unprivileged)
    try:
        subprocess.run([programs / "initdb", "-D", f"{home}/data", "-U", "tuner", "-A", "trust", "-E", "UTF8", "--locale=C"], check=True, **quiet)
        server = subprocess.Popen([programs / "postgres", "-D", f"{home}/data", "-k", home, "-c", "listen_addresses="], **quiet)
        try:
            while subprocess.run([programs / "pg_isready", "-h", home, "-q"]).returncode:
                if server.poll() is not None:
                    raise SystemExit("the PostgreSQL server did not start")
                time.sleep(0.1)
            yield f"postgresql+psycopg://tuner@/postgres?host={home}"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)
    finally:
        shutil.rmtree(home)


def work(url, study, n_trials, epochs):
    """A worker: get ready, say so, wait for the word, tune; then say how long and how much processor time."""
    import warnings

    import optuna

    from scvae_nb import SCVAE, load_example, tune

    warnings.simplefilter("ignore")
    survey = load_example("meuse")
    model = SCVAE(spatial_prior="graph", max_epochs=epochs, patience=epochs, progress=False)
    search = {"learning_rate": optuna.distributions.FloatDistribution(1e-3, 1e-2, log=True),
              "graph_strength": optuna.distributions.FloatDistribution(0.1, 10, log=True)}
    model.fit(survey)  # what is loaded at the first fit is not measured
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.process_time()
    tune(survey, n_trials, url, model=model, search=search, study_name=study, n_folds=1, tolerance=float("inf"), pruner=optuna.pruners.NopPruner(),
         refit=False, progress=False)
    print(time.time(), time.process_time() - start, flush=True)


def other_load():
    """Processor seconds that the machine has spent on anything so far."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def measure(url, study, workers, n_trials, epochs):
    """Seconds, processor seconds and the load of others while so many workers finish a study."""
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(Path(__file__).resolve()), "--work", url, study, str(n_trials), str(epochs)]
    running = [subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(workers)]
    for process in running:
        if process.stdout.readline() != "ready\n":
            raise SystemExit("a worker did not get ready")
    before, start = other_load(), time.time()
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.stdout.readline().split() for process in running]
    busy = other_load() - before
    if any(process.wait() for process in running):
        raise SystemExit("a worker failed")
    seconds, cpu = max(float(end) for end, _ in told) - start, sum(float(used) for _, used in told)
    return {"workers": workers, "seconds": seconds, "cpu_seconds": cpu, "busy": max(0.0, busy - cpu) / (seconds * os.cpu_count())}


def count(url, study):
    """Finished trials of a study, and how many of them each worker did."""
    import optuna

    from scvae_nb.evaluation.studies import trials_table

    table = trials_table(optuna.load_study(study_name=study, storage=url))
    return int((table["state"] == "complete").sum()), table["worker"].value_counts().tolist()


def perform(url, options):
    """All pairs; a row for each run."""
    from versus import describe_machine, now

    rows, machine = [], describe_machine(workers=2)
    for pair in range(options.pairs):
        for workers in ((1, 2) if pair % 2 == 0 else (2, 1)):
            study = f"workers {os.getpid()} {pair} {workers}"
            row = measure(url, study, workers, options.trials, options.epochs)
            row["trials"], shares = count(url, study)
            rows.append({"pair": pair, **row, "epochs": options.epochs, "date": now(), **{name: value for name, value in machine.items() if name != "workers"}})
            print(f"pair {pair}, {workers} worker(s): {row['trials']} trials ({'+'.join(map(str, shares))}) in {row['seconds']:.1f} s, "
                  f"{row['cpu_seconds']:.1f} s of processor time, "
                  f"others kept {100 * row['busy']:.0f} % of the machine busy", flush=True)
    return pd.DataFrame(rows)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60, help="of a fit: how long a trial takes")
    parser.add_argument("--url", help="a PostgreSQL database instead of a server of its own")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table (benchmarks/results/tuning_workers.csv)")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        url, study, n_trials, epochs = options.work
        return work(url, study, int(n_trials), int(epochs))
    sys.path.insert(0, str(HERE.parent))
    programs = find_postgres()
    if programs is None and not options.url:
        print("skipped: no PostgreSQL here (neither on the PATH nor in /usr/lib/postgresql); give --url, or install it")
        return 2
    with contextlib.nullcontext(options.url) if options.url else postgres(programs) as url:
        table = perform(url, options)
    table.to_csv(options.results, index=False, float_format="%.5g")
    seconds = table.pivot(index="pair", columns="workers", values="seconds")
    gain = seconds[1] / seconds[2]
    print(f"two workers are {gain.median():.2f} times as fast as one (median of {len(gain)} pairs; {', '.join(f'{value:.2f}' for value in gain)}); asked: "
          f"1.6. Written to {options.results}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
