"""What is each stage of inference worth? Twins with known truth and hidden values of real surveys, by every way of inference.

    python benchmarks/ablation.py                         everything that is missing in benchmarks/results/ablation.csv
    python benchmarks/ablation.py --list                  what there is to do; runs nothing
    python benchmarks/ablation.py --case twin --n 150 600 --seed 0 1 --workers 2
    python benchmarks/ablation.py --case kola_c --design cells samples
    python benchmarks/ablation.py --redo                  again, although the results are there

Ways: `amortised`, everything trained through the encoder; `trained_first`, amortised training, then refinement from there (what this package did
at first); `refined`, the default, refinement from a factor analysis; and from the same fit `taught`, denoised through the taught encoder
alone. Twins: 12 elements from three processes, noise as strong as the signal, at the density of 2,000 sites in the default map. Rows hold the
root mean square error of the signal over that of oracle cokriging, the coverage of 90 % intervals of the signal, and seconds; for real surveys the
mean CRPS in ln units of hidden cells (a tenth), or of whole samples hidden at random (a fifth). A run is written as soon as it ends.
"""
import argparse
import math
import os
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import product
from pathlib import Path
from unittest import mock

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

import numpy as np
from tqdm import tqdm

from tidy_results import read_results, write_results

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "ablation.csv"
KEY = ["case", "design", "n_samples", "seed", "fit"]
FITS = ("amortised", "trained_first", "refined")
CASES = {"twin": ("linear", "nonlinear"), "kola_c": ("cells", "samples"), "gsi_tellus": ("cells", "samples")}
FIRST_STEPS = 120  # gradient steps of amortised training before refinement, where there are both
TELLUS_SAMPLES = 1882  # the first release, as in the case study


def fitted(survey, fit, seed):
    """A model fitted in one of the ways, and the seconds it took."""
    from scvae_nb import SCVAE
    from scvae_nb.model import denoiser

    def trained_first(guide, data, settings, refined):
        epochs = max(10, math.ceil(FIRST_STEPS / math.ceil(len(data) / settings.batch_size)))
        infer(guide, data, replace(settings, max_epochs=epochs), False)
        return infer(guide, data, settings, True)

    infer, started = denoiser.infer, time.perf_counter()
    with mock.patch.object(denoiser, "infer", trained_first if fit == "trained_first" else infer):
        model = SCVAE(random_state=seed, progress=False, device="cpu", inference="amortised" if fit == "amortised" else "refined").fit(survey)
    return model, time.perf_counter() - started


def results_of(model, fit):
    """Yield (way, result, seconds) for every way of denoising that a fit allows."""
    from scvae_nb.model import denoiser

    for way, window in ((fit, denoiser.WINDOW), *([("taught", 0)] if fit == "refined" else [])):
        started = time.perf_counter()
        with mock.patch.object(denoiser, "WINDOW", window):
            result = model.denoise()
        yield way, result, time.perf_counter() - started


def run_twin(key):
    """Rows of a twin: error over the oracle's and coverage of the signal."""
    from scvae_nb import simulate_survey

    n_samples = key["n_samples"]
    twin = simulate_survey(n_samples, mixing=key["design"], extent=100 * (n_samples / 2000) ** 0.5, random_state=key["seed"])
    model, fit_seconds = fitted(twin.survey, key["fit"], key["seed"])
    floor = twin.rmse(twin.oracle())
    for way, result, seconds in results_of(model, key["fit"]):
        lower, upper = result.interval(0.9, layer="signal")
        covered = ((twin.signal >= lower) & (twin.signal <= upper)).mean(axis=None)
        yield dict(way=way, ratio=twin.rmse(result.signal) / floor, coverage_90=covered, fit_seconds=fit_seconds, denoise_seconds=seconds)


def run_survey(key):
    """Rows of a real survey: CRPS of hidden values."""
    from calibration import SURVEYS
    from scvae_nb.evaluation.calibration import crps_from_draws
    from scvae_nb.evaluation.held_out import hide_cells, without_cells

    survey = SURVEYS[key["case"]](HERE.parent / os.environ.get("SCVAE_NB_DATA", "../shared/data"))
    if key["case"] == "gsi_tellus":
        survey = survey.select(rows=np.arange(TELLUS_SAMPLES))
    generator = np.random.default_rng(key["seed"])
    if key["design"] == "cells":
        hidden = np.asarray(hide_cells(survey, 0.1, random_state=key["seed"])[1])
    else:
        chosen = generator.choice(survey.n_samples, survey.n_samples // 5, replace=False)
        hidden = np.zeros(survey.values.shape, dtype=bool)
        hidden[chosen] = True
        hidden &= survey.readings.known.to_numpy()
    model, fit_seconds = fitted(without_cells(survey, hidden), key["fit"], key["seed"])
    truth = np.log(survey.values.to_numpy())
    for way, result, seconds in results_of(model, key["fit"]):
        draws = np.log(result.sample_sites(400, "observed", key["seed"]))
        crps = crps_from_draws(draws[:, hidden], truth[hidden])
        yield dict(way=way, crps=float(np.mean(crps)), fit_seconds=fit_seconds, denoise_seconds=seconds)


def run(key):
    """Rows of a run, in a process of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [key | row for row in (run_twin if key["case"] == "twin" else run_survey)(key)]


def choose(options):
    """The runs that are missing."""
    there = {tuple(map(str, row)) for row in read_results(options.results, KEY)[KEY].itertuples(index=False)}
    for case in options.case:
        sizes = options.n if case == "twin" else [0]
        seeds = options.seed if case == "twin" else options.seed[:1]
        for size, seed, design, fit in product(sizes, seeds, CASES[case], options.fit):
            key = dict(zip(KEY, (case, design, size, seed, fit), strict=True))
            if (options.design is None or design in options.design) and (options.redo or tuple(map(str, key.values())) not in there):
                yield key


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--design", nargs="+", help="linear, nonlinear; cells, samples (all)")
    parser.add_argument("--n", nargs="+", type=int, default=[150, 600, 2000, 10_000], help="samples of the twins")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--fit", nargs="+", choices=FITS, default=list(FITS))
    parser.add_argument("--workers", type=int, default=1, help="processes; seconds are comparable with one a core")
    parser.add_argument("--list", action="store_true", help="say what would be run, and end")
    parser.add_argument("--redo", action="store_true", help="run again what is in the results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table (benchmarks/results/ablation.csv)")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    chosen = list(choose(options))
    print(f"to run: {len(chosen)}")
    if options.list:
        print(*(" ".join(map(str, key.values())) for key in chosen), sep="\n")
        return 0
    errors = 0
    with ProcessPoolExecutor(options.workers) as pool, tqdm(total=len(chosen), unit="run", disable=None) as bar:
        waiting = {pool.submit(run, key): key for key in chosen}
        try:
            for done in as_completed(waiting):
                key = waiting[done]
                try:
                    rows = done.result()
                except Exception as error:  # one run that fails does not stop the rest
                    errors, rows = errors + 1, []
                    bar.write(f"{' '.join(map(str, key.values()))}: {type(error).__name__}: {error}")
                for row in rows:
                    write_results(options.results, key | {"way": row["way"]}, [row])
                    bar.write(" ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
                bar.update()
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            print(f"stopped; what was finished is in {options.results}. To go on, run the same command again.")
            return 130
    print(f"{len(chosen)} runs, {errors} errors; results in {options.results}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
