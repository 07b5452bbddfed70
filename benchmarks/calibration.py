"""Do stated uncertainties hold on real surveys? Hidden values, ours and three rivals. One command, and it can be stopped.

    python benchmarks/calibration.py                                  everything that is missing in the results
    python benchmarks/calibration.py --list                           what there is to do; runs nothing
    python benchmarks/calibration.py --survey kola_c --design cells --method scvae_nb kriging --seed 0
    python benchmarks/calibration.py --redo scvae_nb                  this method again, although its results are there
    python benchmarks/calibration.py --retry                          runs again that ended in an error

The surveys are not in the repository: SCVAE_NB_DATA names their folder (default: ../shared/data beside the clone). A run is a method on a
design (a tenth of the cells, or five folds of blocks) of a survey with a seed. Its rows, one per element and one for all, are in the results
as soon as it ends: stop with Ctrl-C and run the same command to go on; the folds of a run that was stopped are kept.
Columns: `coverage_NN`, the share of hidden values inside the central interval; `within_8`, the share of elements whose 90 % interval holds
between 82 and 98 %; `crps`, `rmse` and `bias` in ln units; `pit_p`.
"""
import argparse
import os
import pickle
import signal
import sys
import warnings
from itertools import product
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

import pandas as pd
from tqdm import tqdm

from scvae_nb import SCVAE, Survey
from scvae_nb.evaluation.calibration import ALL
from scvae_nb.evaluation.cell_predictors import ForestPredictor, KrigingPredictor, MarginalPredictor
from scvae_nb.evaluation.held_out import cross_validate
from tidy_results import read_results, write_results
from versus import describe_machine, now

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "calibration.csv"
KEY = ["survey", "design", "method", "seed"]
N_DRAWS = 400
SPACING = {"kola_c": 100_000, "gsi_tellus": 20_000}  # side of a block, m
FOLDS = {"cells": 1, "blocks": 5}


# The surveys


def read_kola(folder):
    """Kola C horizon: columns that are complete, positive, and below detection in less than 5 % of the samples.

    The release holds half the limit where a value was below it; those cells become what they are, and are not scored. Columns `_XRF` are the
    oxides once more in other units: they would give a hidden cell away.
    """
    limits = pd.read_csv(folder / "kola_c_detection_limits.csv").set_index("column")
    table = pd.read_csv(folder / "kola_c_samples.csv")
    names = [name for name in limits.index[limits["fraction_below_dl"].fillna(0) < 0.05]
             if name in table and "_XRF" not in name and (table[name] > 0).all()]
    known = limits["dl"].reindex(names).dropna()
    return Survey.read(folder / "kola_c_samples.csv", easting="x", northing="y", crs="EPSG:32635", elements=names, detection_limits=known)


def read_tellus(folder):
    """Tellus stream sediments, X-ray fluorescence: positive columns without a value that more than 5 % of the samples repeat."""
    table = pd.read_csv(folder / "gsi_tellus_samples.csv")
    names = [name for name in table if name.endswith(("_ppm", "_pct")) and table[name].min() > 0
             and table[name].value_counts().iloc[0] < 0.05 * table[name].count()]
    return Survey.read(folder / "gsi_tellus_samples.csv", easting="x", northing="y", crs="EPSG:29902", elements=names)


SURVEYS = {"kola_c": read_kola, "gsi_tellus": read_tellus}


# The methods


def make(method, seed, device):
    """A fresh predictor."""
    return {"scvae_nb": lambda: SCVAE(random_state=seed, device=device, progress=False), "kriging": lambda: KrigingPredictor(random_state=seed),
            "forest": lambda: ForestPredictor(random_state=seed, progress=False), "marginal": MarginalPredictor}[method]()


METHODS = ("marginal", "kriging", "forest", "scvae_nb")


def run(survey, key, device, folder):
    """Rows of one run: a dict per element, and one for all. The folds of a run that is stopped are kept in `folder`."""
    kept = folder / f"unfinished_{'_'.join(map(str, key.values()))}.pickle"
    earlier = pickle.loads(kept.read_bytes()) if kept.exists() else None
    held = cross_validate(make(key["method"], key["seed"], device), survey, key["design"], n_splits=FOLDS[key["design"]], share=0.1,
                          spacing=SPACING[key["survey"]], n_draws=N_DRAWS, random_state=key["seed"], progress=False, resume=earlier)
    if held.n_folds < FOLDS[key["design"]]:  # what an interrupt leaves is not a result
        kept.write_bytes(pickle.dumps(held))
        raise KeyboardInterrupt
    kept.unlink(missing_ok=True)
    table = held.table()
    summary = table.summary()
    summary.loc[ALL, "within_8"] = table.within(0.9, 0.08)
    summary.loc[ALL, "row_error_90"] = table.intervals.loc[(ALL, 0.9), "row_error"]
    summary.loc[ALL, "seconds"] = sum(held.seconds)
    return summary.reset_index().to_dict("records")


# The results


def choose(options):
    """The runs that are missing, as dicts."""
    there = read_results(options.results, [*KEY, "status"]).drop_duplicates(KEY)
    status = {tuple(row[KEY]): row["status"] for _, row in there.iterrows()}
    chosen = []
    for key in product(options.survey, options.design, options.method, options.seed):
        again = key[2] in options.redo or (options.retry and status.get(key) == "error")
        if key not in status or again:
            chosen.append(dict(zip(KEY, key, strict=True)))
    return chosen


# The command


def perform(chosen, options, folder):
    """Run them one after the other; return how many ended in an error."""
    machine, surveys, errors = describe_machine(1), {}, 0
    bar = tqdm(chosen, unit="run", disable=None)
    for key in bar:
        told = " ".join(str(part) for part in key.values())
        bar.set_description(told)
        base = key | {"date": now(), "device": options.device} | machine
        try:
            if key["survey"] not in surveys:
                surveys[key["survey"]] = SURVEYS[key["survey"]](folder)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows = [base | {"status": "ok", "note": ""} | row for row in run(surveys[key["survey"]], key, options.device, options.results.parent)]
            whole = rows[-1]
            bar.write(f"{told}: 90 % holds {whole['coverage_90']:.3f}, CRPS {whole['crps']:.4f}, {whole['seconds']:.0f} s")
        except Exception as error:  # one method that fails does not stop the rest
            errors += 1
            rows = [base | {"status": "error", "element": ALL, "note": " ".join(f"{type(error).__name__}: {error}".split())[:300]}]
            bar.write(f"{told}: {rows[0]['note']}")
        write_results(options.results, key, rows)
    return errors


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="say what would be run, and end")
    parser.add_argument("--survey", nargs="+", choices=SURVEYS, default=list(SURVEYS), help=f"of {', '.join(SURVEYS)}")
    parser.add_argument("--design", nargs="+", choices=FOLDS, default=list(FOLDS), help=f"of {', '.join(FOLDS)}")
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS), help=f"of {', '.join(METHODS)}")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2], help="seeds (0 1 2)")
    parser.add_argument("--redo", nargs="+", choices=METHODS, default=[], help="run these methods again")
    parser.add_argument("--retry", action="store_true", help="run again what ended in an error")
    parser.add_argument("--device", default="cpu", help="where scvae_nb is trained: cpu, cuda or auto (cpu)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table (benchmarks/results/calibration.csv)")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # kill ends it as Ctrl-C does
    folder = HERE.parent / os.environ.get("SCVAE_NB_DATA", "../shared/data")
    chosen = choose(options)
    for key in chosen if options.list else []:
        print(*key.values())
    print(f"to run: {len(chosen)}")
    if options.list or not chosen:
        return 0
    if not folder.is_dir():
        print(f"no survey data in {folder}: set SCVAE_NB_DATA to the folder that holds kola_c_samples.csv")
        return 2
    try:
        errors = perform(chosen, options, folder)
    except KeyboardInterrupt:
        print(f"\nstopped; what was finished is in {options.results}. To go on, run the same command again.")
        return 130
    print(f"{len(chosen)} runs, {errors} errors; results in {options.results}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
