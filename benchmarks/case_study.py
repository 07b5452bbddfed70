"""The case study: the claims of the SC-VAE paper on a gold district and on real surveys, all models tuned alike. One command, and it can be stopped.

    python benchmarks/case_study.py                          everything that is missing in the results
    python benchmarks/case_study.py --list                   what there is to do and how long it takes; runs nothing
    python benchmarks/case_study.py --dataset gold_district --method gp --seed 0
    python benchmarks/case_study.py --experiment samples     only the effect of the number of samples
    python benchmarks/case_study.py --redo gp                this method again, although its results are there (not its tuning)
    python benchmarks/case_study.py --retry                  runs again that ended in an error

Three experiments. `tuning`: for each data set and model a study of `--trials` trials (the first is the default model), held-out log score subject to
closure, on a part of the survey (of the gold district: on another district), the same number of trials, folds and seconds for all. `claims`: the tuned
models, the default model (`gp_default`) and the baselines judged by `scvae_nb.evaluation.claims.judge`: a fit to the whole survey, one with samples and
cells hidden at random, one with blocks hidden. `samples`: models with default settings that learn from few and from many samples: the gold district
sampled 300, 700 and 1,500 times, against the truth; real surveys with a fifth of their samples hidden, the same for all numbers and methods, and
predicted from so many of the rest. `--experiment samples --redo gp` repeats it for a model that was changed.

The results are tidy: a row per (experiment, dataset, method, seed, quantity), in the table as soon as a run ends; stop with Ctrl-C and run the same
command to go on (a study goes on from its finished trials, kept in `--cache`). The seed names the district of a twin, what is hidden, and the start of
the training. Real surveys are read from the folder in SCVAE_NB_DATA (default: ../shared/data beside the clone); without it only the twin is run. Two of
these commands may run at a time, on different data sets. Afterwards execute nbs/tutorials/case_study_*.ipynb.
"""
import argparse
import dataclasses
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from itertools import product
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

import numpy as np
import pandas as pd
from tqdm import tqdm

from scvae_nb import SCVAE, Survey, simulate_gold_district
from scvae_nb.evaluation.baselines import Kriging, MovingMean, Raw
from scvae_nb.evaluation.claims import as_candidate, describe_candidate, hidden_quantities, judge, log_spread
from scvae_nb.evaluation.held_out import without_cells
from scvae_nb.evaluation.tuning import tune
from scvae_nb.geostatistics.gold_district import GOLD_ASSOCIATION
from tidy_results import read_results, write_results
from versus import describe_machine, now

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "case_study.csv"
KEY = ["experiment", "dataset", "n_samples", "method", "seed"]
COLUMNS = [*KEY, "quantity", "status", "settings"]
PRIORS = {"vae": None, "graph": "graph", "gp": "gp"}
BASELINES = {"raw": Raw, "moving_mean": MovingMean, "kriging": Kriging}
DEFAULTS = {"gp_default": "gp"}  # as it comes, with nothing tuned
METHODS = (*BASELINES, "oracle", *PRIORS, *DEFAULTS)
EXPERIMENTS = ("tuning", "claims", "samples")
NUMBERS = (300, 700, 1500)  # of samples
LEARNERS = ("raw", "kriging", "vae", "gp")  # what learns from parts of real surveys
MANY = 2000  # more samples than this for one seed only
# seconds of one core for one fit with its scores
COST = {"raw": 4, "moving_mean": 4, "kriging": 15, "oracle": 15, "vae": 18, "graph": 18, "gp": 55, "gp_default": 55}


# The surveys


def read_jura(folder):
    """Swiss Jura: 359 topsoils, 7 metals, no marked limits."""
    table = pd.read_csv(folder / "jura_samples.csv")
    return Survey.from_frame(table, easting="x_km", northing="y_km", elements=[name for name in table if name.endswith("_ppm")])


KOLA = [f"{name}_ppm" for name in ("Ag", "As", "Ba", "Bi", "Cd", "Co", "Cr", "Cu", "Fe", "La", "Mn", "Ni", "Pb", "Sr", "V", "Zn")]


def read_kola(folder):
    """Kola C horizon: 606 samples, 16 elements by aqua regia; half a limit in the release is below that limit here; 49 field duplicates."""
    limits = pd.read_csv(folder / "kola_c_detection_limits.csv").set_index("column")["dl"].reindex(KOLA)
    tables = []
    for name, label in (("samples", "ID"), ("field_duplicates", "kola_id")):
        table = pd.read_csv(folder / f"kola_c_{name}.csv", index_col=label)
        below = table[KOLA].lt(limits, axis=1)
        marked = table[KOLA].mask(below, limits, axis=1).astype(object)
        tables.append((marked.mask(below, "<" + marked.astype(str)), table[["x", "y"]]))
    (values, places), (again, _) = tables
    return Survey(values, places.to_numpy(), crs="EPSG:32635", duplicates=(again.rename_axis("ID").reset_index(), "ID"), name="Kola C horizon")


TELLUS = ["Au_ppb", *(f"{name}_ppm" for name in ("As", "Cu", "Pb", "Zn", "W", "Mo", "Ba", "Co", "Ni", "Cr", "Sn"))]


def read_tellus(folder, whole=False):
    """Tellus stream sediments of south-east Ireland: the 1,882 samples of the release of 2016 (`whole`: all 5,508), 12 elements; gold of 0.5 ppb
    stands for below 1."""
    table = pd.read_csv(folder / "gsi_tellus_samples.csv")
    table = table if whole else table[table["release"] == "2016_v1.0"].reset_index(drop=True)
    survey = Survey.from_frame(table, easting="x", northing="y", crs="EPSG:29902", elements=TELLUS)
    return survey.censor_substituted(limits={"Au_ppb": 1.0}, elements=["Au_ppb"])


def part_of(survey, count):
    """So many samples at random, always the same."""
    rows = np.sort(np.random.default_rng(7).choice(survey.n_samples, count, replace=False))
    return survey.select(rows=rows)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A survey of the case study. `read(folder, seed)` gives a survey and its truth or None, `tuning(folder)` what the study sees; lengths in map units."""

    n_samples: int
    read: object
    tuning: object
    association: tuple
    spacing: float  # side of a hidden block
    max_lag: float
    seeds: tuple = (0, 1, 2)
    designs: tuple = ("random", "blocks")
    tuned_as: str = ""
    numbers: tuple = ()  # of samples to learn from


def twin(n_samples, seed):
    """The gold district of a seed, always the same square."""
    district = simulate_gold_district(n_samples, seed, extent=2 * np.sqrt(max(NUMBERS)))
    return district.survey, district


TELLUS_ASSOCIATION = ("Au_ppb", "As_ppm", "Cu_ppm", "Pb_ppm", "Zn_ppm")
DATASETS = {
    "gold_district": Dataset(1500, lambda folder, seed: twin(1500, seed), lambda folder: simulate_gold_district(400, 100).survey, GOLD_ASSOCIATION, 10.0, 26.0,
                             numbers=NUMBERS),
    "jura": Dataset(359, lambda folder, seed: (read_jura(folder), None), lambda folder: part_of(read_jura(folder), 250),
                    ("Cd_ppm", "Cu_ppm", "Pb_ppm", "Zn_ppm"), 1.0, 1.5, numbers=(100, 180, 260)),
    "kola_c": Dataset(606, lambda folder, seed: (read_kola(folder), None), lambda folder: part_of(read_kola(folder), 400),
                      ("Co_ppm", "Cu_ppm", "Ni_ppm"), 100_000.0, 300_000.0, numbers=(150, 300, 450)),
    "gsi_tellus": Dataset(1882, lambda folder, seed: (read_tellus(folder), None), lambda folder: part_of(read_tellus(folder), 400),
                          TELLUS_ASSOCIATION, 10_000.0, 30_000.0),
    "gsi_tellus_all": Dataset(5508, lambda folder, seed: (read_tellus(folder, whole=True), None), None, TELLUS_ASSOCIATION, 10_000.0, 30_000.0, (0,),
                              ("random",), "gsi_tellus",
                              (300, 700, 1500, 4000)),
}


# The runs: each returns its quantities and the settings of the model


def run_tuning(key, dataset, options, done):
    """The best parameters of a model on the part of a survey that is for tuning."""
    options.cache.mkdir(parents=True, exist_ok=True)
    name = f"{key['dataset']} {key['method']} {options.trials} trials of {options.folds} folds"
    survey = without_duplicates(dataset.tuning(options.folder))
    # the study is kept with its name: a stopped command goes on where it was
    found = tune(survey, options.trials, storage=f"sqlite:///{options.cache / 'case_study.db'}", study_name=name,
                 model=SCVAE(spatial_prior=PRIORS[key["method"]], progress=False),
                 objective="held_out", n_folds=options.folds, n_seeds=1, timeout=options.tuning_seconds, random_state=0, refit=False, progress=False)
    states = found.trials["state"].value_counts()
    quantities = {"objective": found.value, "excess": found.excess, "feasible": float(found.feasible), "trials": float(sum(states)),
                  "samples_seen": float(survey.n_samples),
                  "objective_of_default": found.trials["value"].iloc[0]}
    return quantities, found.parameters


def without_duplicates(survey):
    """A copy that knows neither truth nor duplicates."""
    return without_cells(survey, survey.values.notna() & False)


def run_claims(key, dataset, options, done):
    """All quantities of a tuned model, or of a baseline."""
    survey, truth = dataset.read(options.folder, key["seed"])
    method, settings = make_method(key, tuned_settings(done, dataset.tuned_as or key["dataset"], key["method"]))
    if key["method"] == "oracle":
        return describe_oracle(survey, truth, dataset), settings
    return judge(method, survey, association=dataset.association, truth=truth, designs=dataset.designs, spacing=dataset.spacing, max_lag=dataset.max_lag,
                 random_state=key["seed"]), settings


def run_samples(key, dataset, options, done):
    """Quantities of a model with default settings that learns from so many samples: against the truth of a twin, or hidden samples of a real survey."""
    if key["dataset"] != "gold_district":
        return learn_from_part(key, dataset, options), {}
    survey, truth = twin(key["n_samples"], key["seed"])
    if key["method"] == "oracle":
        return describe_oracle(survey, truth, dataset), {}
    method, settings = make_method(key, {})
    return judge(method, survey, association=dataset.association, truth=truth, designs=(), max_lag=dataset.max_lag, random_state=key["seed"]), settings


def parts_of(n_samples, number, seed):
    """Positions of a hidden fifth, the same for every number, and of so many others to learn from; fewer are a part of more."""
    order, fifth = np.random.default_rng(seed).permutation(n_samples), round(n_samples / 5)
    if number > n_samples - fifth:
        raise ValueError(f"{number} samples to learn from, but a survey of {n_samples} has {n_samples - fifth} beside its hidden fifth")
    return np.sort(order[:fifth]), np.sort(order[fifth:fifth + number])


def learn_from_part(key, dataset, options):
    """How well hidden samples of a real survey are predicted from a part of the others; errors in standard deviations of the whole survey."""
    survey = without_duplicates(dataset.read(options.folder, key["seed"])[0])
    gone, learnt = parts_of(survey.n_samples, key["n_samples"], key["seed"])
    part = survey.select(rows=np.concatenate([learnt, gone]))
    rows = np.arange(part.n_samples) >= len(learnt)
    hidden = part.values.notna().to_numpy() & rows[:, None]
    seen = without_cells(part, pd.DataFrame(hidden, part.index, part.elements))
    method, _ = make_method(key, {})
    # a model learns from its samples alone: in training the empty places would take the room of real neighbours
    result = method.fit(part.select(rows=~rows)).denoise(seen) if key["method"] in PRIORS else method.fit(seen).denoise()
    found, _ = hidden_quantities(as_candidate(seen, result), part, rows, hidden, dataset.association, spread=log_spread(survey),
                                 kriging_speaks=key["method"] == "raw",
                                 random_state=key["seed"])
    return {f"{name}_random": value for name, value in found.items()}


RUNS = {"tuning": run_tuning, "claims": run_claims, "samples": run_samples}


def make_method(key, settings):
    """A fresh method, and its settings."""
    priors = PRIORS | DEFAULTS
    if key["method"] in priors:
        return SCVAE(spatial_prior=priors[key["method"]], random_state=key["seed"], progress=False, **settings), settings
    return BASELINES.get(key["method"], Raw)(random_state=key["seed"]), {}


def describe_oracle(survey, truth, dataset):
    """The best linear estimate of both layers, as a method."""
    apart = without_duplicates(survey)
    candidate = as_candidate(apart, truth.oracle(layer="denoised"))
    candidate.layers.signal = truth.oracle()
    return describe_candidate(candidate, survey, truth, dataset.association, dataset.max_lag)


def tuned_settings(done, dataset, method):
    """What tuning found; a baseline has no settings."""
    if method not in PRIORS:
        return {}
    rows = done[(done["experiment"] == "tuning") & (done["dataset"] == dataset) & (done["method"] == method) & (done["status"] == "ok")]
    if rows.empty:
        raise RuntimeError(f"{method} has not been tuned on {dataset}: run the experiment tuning first")
    return json.loads(rows["settings"].iloc[0])


# The results


def plan():
    """All runs, as dicts, in the order in which they are done: every data set complete before the next."""
    for name, dataset in DATASETS.items():
        size = dataset.n_samples
        if dataset.tuning:
            yield from (dict(zip(KEY, ("tuning", name, size, method, 0), strict=True)) for method in PRIORS)
        for seed, method in product(dataset.seeds, METHODS):
            if method != "oracle" or name == "gold_district":
                yield dict(zip(KEY, ("claims", name, size, method, seed), strict=True))
    for name, dataset in DATASETS.items():
        methods = [method for method in METHODS if method not in ("moving_mean", *DEFAULTS)] if name == "gold_district" else LEARNERS
        for seed, number, method in product((0, 1, 2), dataset.numbers, methods):
            if number <= MANY or seed == 0:
                yield dict(zip(KEY, ("samples", name, number, method, seed), strict=True))


def choose(options):
    """The runs that are missing."""
    there = read_results(options.results, COLUMNS).drop_duplicates(KEY)
    status = {tuple(row[KEY]): row["status"] for _, row in there.iterrows()}
    def wanted(key):
        return key["experiment"] != "samples" or not options.number or key["n_samples"] in options.number

    def asked(key):
        return wanted(key) and all(key[name] in getattr(options, name) for name in ("experiment", "dataset", "method", "seed"))

    def again(key):
        return (key["method"] in options.redo and key["experiment"] != "tuning") or (options.retry and status.get(tuple(key.values())) == "error")

    return [key for key in plan() if asked(key) and (tuple(key.values()) not in status or again(key))]


# The command


def seconds_of(key, options):
    """About how long a run takes on one core."""
    cost = COST[key["method"]] * (1 + key["n_samples"] / 6000)
    fits = {"tuning": options.trials * options.folds, "samples": 1, "claims": 1 + len(DATASETS[key["dataset"]].designs)}[key["experiment"]]
    return min(cost * fits, options.tuning_seconds) if key["experiment"] == "tuning" else cost * fits


def show(chosen, options):
    """Print the work and its cost."""
    table = pd.DataFrame([key | {"minutes": seconds_of(key, options) / 60} for key in chosen], columns=[*KEY, "minutes"])
    print(table.groupby(["dataset", "experiment", "method"], sort=False)["minutes"].agg(["size", "sum"]).round(1).to_string() if len(table)
          else "nothing is missing")
    print(f"to run: {len(table)}, about {table['minutes'].sum():.0f} minutes of one core")


def perform(chosen, options):
    """Do the runs one after the other; return how many ended in an error."""
    machine, errors, bar = describe_machine(1), 0, tqdm(chosen, unit="run", disable=None)
    for key in bar:
        told = " ".join(str(part) for part in key.values())
        bar.set_description(told)
        base, start = key | {"date": now()}, time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found, settings = RUNS[key["experiment"]](key, DATASETS[key["dataset"]], options, read_results(options.results, COLUMNS))
            part = {"seconds": round(time.perf_counter() - start, 1), "settings": json.dumps(settings, sort_keys=True) if settings else "", "status": "ok",
                    "note": ""}
            rows = [base | {"quantity": name, "value": value} | part | machine for name, value in found.items()]
            print(f"{told}: {part['seconds']:.0f} s", flush=True)
        except Exception as error:  # one run that fails does not stop the rest
            errors += 1
            rows = [base | {"quantity": "", "status": "error", "note": " ".join(f"{type(error).__name__}: {error}".split())[:300]} | machine]
            print(f"{told}: {rows[0]['note']}", flush=True)
        write_results(options.results, key, rows)
    return errors


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="say what would be run, and end")
    for name, choices in (("experiment", EXPERIMENTS), ("dataset", DATASETS), ("method", METHODS)):
        parser.add_argument(f"--{name}", nargs="+", choices=list(choices), default=list(choices), help=f"of {', '.join(choices)}")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2], help="seeds (0 1 2)")
    parser.add_argument("--number", nargs="+", type=int, default=[], help="of the experiment samples: only these numbers of samples")
    parser.add_argument("--trials", type=int, default=8, help="trials of each study (8)")
    parser.add_argument("--folds", type=int, default=1, help="folds of hidden cells in each trial (1)")
    parser.add_argument("--tuning-seconds", type=float, default=900, help="time for each study; what is finished by then counts (900)")
    parser.add_argument("--redo", nargs="+", choices=METHODS, default=[], help="run these methods again")
    parser.add_argument("--retry", action="store_true", help="run again what ended in an error")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table (benchmarks/results/case_study.csv)")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "scvae_nb_case_study", help="where studies are kept")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # kill ends it as Ctrl-C does
    options.folder = HERE.parent / os.environ.get("SCVAE_NB_DATA", "../shared/data")
    if not options.folder.is_dir():
        print(f"no survey data in {options.folder}: only the twin is run. SCVAE_NB_DATA names the folder that holds kola_c_samples.csv")
        options.dataset = [name for name in options.dataset if name == "gold_district"]
    chosen = choose(options)
    show(chosen, options)
    if options.list:
        return 0
    try:
        errors = perform(chosen, options)
    except KeyboardInterrupt:
        print(f"\nstopped; what was finished is in {options.results}. To go on, run the same command again.")
        return 130
    print(f"{len(chosen)} runs, {errors} errors; results in {options.results}. Next: python tools/execute_notebooks.py --slow nbs/tutorials")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
