"""Where nobody sampled: whole samples hidden at random and in blocks, this package beside kriging of each element. One command, and it can be stopped.

    python benchmarks/whole_samples.py                                   everything that is missing in the results
    python benchmarks/whole_samples.py --survey jura --design random --seed 0
    python benchmarks/whole_samples.py --redo                            runs again what is there

The surveys are not in the repository: SCVAE_NB_DATA names their folder (default: ../shared/data beside the clone). A fifth of the samples is hidden. The
rival is a Gaussian process per element: exponential covariance, nugget and unknown constant mean, by maximum likelihood on a grid of ranges and nuggets,
exact. Scores are of standardised logarithms of reported values, the mean over elements and samples: `crps` of 200 draws, `log_score` of the Normal with their
mean and variance, `coverage_90`; `ratio` is crps over that of the rival, `worst` the largest of an element, `log_gain` the log score less the rival's.

Three more rivals, each `crps_<name>`: `fitted`, ordinary kriging of each element with a fitted variogram; `cokriging` with a fitted linear model of
coregionalisation; `forest`, a quantile forest of each element on the coordinates. `ratio_best` is crps over that of the best of all four.
"""
import argparse
import os
import sys
import time
import warnings
from itertools import product
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

import numpy as np
import pandas as pd
from calibration import read_kola, read_tellus
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from scipy.stats import norm

from quantile_forest import RandomForestQuantileRegressor

from scvae_nb import SCVAE, Survey
from scvae_nb.evaluation.cell_predictors import krige_cells
from scvae_nb.geostatistics.kriging import automatic_variogram, cokriging_filter, fit_coregionalisation

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "whole_samples.csv"
KEY = ["survey", "design", "seed"]
BLOCK = {"kola_c": 100_000, "gsi_tellus": 20_000, "jura": 800, "se_alaska": 20_000, "gsi_tellus_all": 20_000}  # side of a block, m
SEEDS = {"gsi_tellus_all": [0]}  # unless others are asked for: the exact rival takes a quarter of an hour
N_DRAWS = 200
NUGGETS = (0.02, 0.08, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.93, 0.98)


# The surveys


def read_tellus_south(folder):
    """The 1,882 samples of the second release."""
    release = pd.read_csv(folder / "gsi_tellus_samples.csv").release
    return read_tellus(folder).select(rows=np.flatnonzero(release == "2016_v1.0"))


def read_jura(folder):
    """All 359 samples, coordinates in m."""
    table = pd.read_csv(folder / "jura_samples.csv")
    names = [name for name in table if name.endswith("_ppm")]
    return Survey(table[names], table[["x_km", "y_km"]].to_numpy() * 1000)


def read_alaska(folder):
    """The 1,500 places nearest to the middle, one sample of each; elements reported for over 80 % of them and below a limit in under 15 %."""
    import pyproj

    table = pd.read_csv(folder / "se_alaska_samples.csv", low_memory=False)
    table = table[table.medium_guess == "sediment_soil_or_rock"].drop_duplicates(["lon", "lat"])
    places = np.column_stack(pyproj.Transformer.from_crs(4269, 32608, always_xy=True).transform(table.lon, table.lat))
    near = np.argsort(((places - np.median(places, axis=0)) ** 2).sum(axis=1))[:1500]
    table, values, below = table.iloc[near].reset_index(drop=True), {}, {}
    for name in [name for name in table if name.endswith(("_ppm", "_pct"))]:
        text = table[name].astype(str)
        limited, number = text.str.startswith("<"), pd.to_numeric(text.str.lstrip("<"), errors="coerce")
        if number.notna().mean() > 0.8 and limited.mean() < 0.15 and (number.dropna() > 0).all():
            values[name], below[name] = number, limited & number.notna()
    return Survey(pd.DataFrame(values), places[near], censored=pd.DataFrame(below))


SURVEYS = {"kola_c": read_kola, "gsi_tellus": read_tellus_south, "jura": read_jura, "se_alaska": read_alaska, "gsi_tellus_all": read_tellus}


def hidden_samples(survey, design, side, seed):
    """Which samples are hidden, bool (n,): a fifth at random, or in square blocks dealt at random until they hold a fifth."""
    generator = np.random.default_rng(seed)
    hidden = np.zeros(survey.n_samples, dtype=bool)
    if design == "random":
        hidden[generator.choice(len(hidden), len(hidden) // 5, replace=False)] = True
        return hidden
    cells = np.floor((survey.coordinates - survey.coordinates.min(axis=0)) / side).astype(int)
    block = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
    for number in generator.permutation(block.max() + 1):
        if hidden.mean() >= 0.2:
            break
        hidden |= block == number
    return hidden


# The methods


def _fitted(distance, values, scale, nugget):
    """Cholesky factor, solution for the constant, mean, variance and deviance of every column of complete values (n, q) under one covariance."""
    covariance = (1 - nugget) * np.exp(-distance / scale)
    np.fill_diagonal(covariance, 1)
    factor = cho_factor(covariance, lower=True, overwrite_a=True, check_finite=False)
    solved = cho_solve(factor, np.column_stack([np.ones(len(values)), values]), check_finite=False)
    certain = solved[:, 0].sum()
    mean = solved[:, 1:].sum(axis=0) / certain
    variance = ((values * solved[:, 1:]).sum(axis=0) - mean**2 * certain) / len(values)
    return factor, solved[:, 0], mean, variance, len(values) * np.log(variance) + 2 * np.log(np.diag(factor[0])).sum()


def krige(places, values, asked):
    """Mean and standard deviation of new values (m, q) at places, from values (n, q), NaN where missing."""
    mean, deviation = np.full((len(asked), values.shape[1]), np.nan), np.full((len(asked), values.shape[1]), np.nan)
    scales, patterns = np.geomspace(1 / 150, 1.5, 14) * np.linalg.norm(np.ptp(places, axis=0)), {}
    for column, there in enumerate(np.isfinite(values).T):
        patterns.setdefault(there.tobytes(), []).append(column)
    for key, columns in patterns.items():
        there = np.frombuffer(key, dtype=bool)
        known, distance, towards = values[there][:, columns], cdist(places[there], places[there]), cdist(asked, places[there])
        deviances = {pair: _fitted(distance, known, *pair)[-1] for pair in product(scales, NUGGETS)}
        best = pd.DataFrame(deviances).idxmin(axis=1)
        for pair in set(best):
            chosen = [number for number, found in enumerate(best) if found == pair]
            factor, constant, centre, variance, _ = _fitted(distance, known[:, chosen], *pair)
            weight = (1 - pair[1]) * np.exp(-towards / pair[0])
            left = (1 - weight @ constant) ** 2 / constant.sum()
            spread = 1 - (weight * cho_solve(factor, weight.T).T).sum(axis=1) + left
            at = [columns[number] for number in chosen]
            mean[:, at] = centre + weight @ cho_solve(factor, known[:, chosen] - centre)
            deviation[:, at] = np.sqrt(spread[:, None] * variance)
    return mean, deviation


def krige_fitted(places, values, asked):
    """Ordinary kriging of each element with a fitted variogram, from 100 neighbours; as `krige`."""
    mean, variance = np.empty((2, len(asked), values.shape[1]))
    everywhere, targets = np.concatenate([places, asked]), len(places) + np.arange(len(asked))
    for column, element in enumerate(values.T):
        padded = np.concatenate([element, np.full(len(asked), np.nan)])
        mean[:, column], variance[:, column] = krige_cells(padded, everywhere, automatic_variogram(element, places), targets)
    return mean, np.sqrt(variance)


def cokrige(places, values, asked):
    """Ordinary cokriging with a fitted linear model of coregionalisation of two structures; as `krige`."""
    model = fit_coregionalisation(values, places)
    mean, variance = cokriging_filter(values, places, model, max(10, min(40, 480 // values.shape[1])), asked)
    return mean, np.sqrt(variance + np.diag(model.nugget))


def forest_quantiles(places, values, asked, seed):
    """99 quantiles (99, m, q) by a quantile forest of each element on the coordinates."""
    levels = list((np.arange(99) + 0.5) / 99)
    def of_element(element):
        known = np.isfinite(element)
        forest = RandomForestQuantileRegressor(300, min_samples_leaf=5, max_samples_leaf=None, random_state=seed)
        return forest.fit(places[known], element[known]).predict(asked, quantiles=levels).T
    return np.stack([of_element(element) for element in values.T], axis=-1)


def draw(survey, hidden, seed, device):
    """Draws (200, m, p) of logarithms of what a laboratory would report of the hidden samples, and the seconds of the fit."""
    rest, start = survey.values.mask(np.repeat(hidden[:, None], survey.n_elements, axis=1)), time.perf_counter()
    model = SCVAE(random_state=seed, progress=False, device=device)
    model.fit(Survey(rest, survey.coordinates, censored=survey.censored & ~hidden[:, None], units=survey.units))
    seconds = time.perf_counter() - start
    return np.log(model.denoise().sample_sites(N_DRAWS, "observed", seed)[:, hidden]), seconds


# The scores


def crps_of_draws(truth, draws):
    """Continuous ranked probability score of draws (d, ...)."""
    count = len(draws)
    rank = (2 * np.arange(1, count + 1) - count - 1).reshape(-1, *[1] * (draws.ndim - 1))
    return np.abs(draws - truth).mean(axis=0) - (rank * np.sort(draws, axis=0)).sum(axis=0) / count**2


def crps_of_normal(truth, mean, deviation):
    """Continuous ranked probability score of a Normal (Gneiting and Raftery 2007)."""
    z = (truth - mean) / deviation
    return deviation * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))


def run(survey, key, device):
    """One row of the results."""
    hidden = hidden_samples(survey, key["design"], BLOCK[key["survey"]], key["seed"])
    logarithms = np.log(survey.substituted(0.5).values.to_numpy())
    centre, scale = np.nanmean(logarithms, axis=0), np.nanstd(logarithms, axis=0)
    standard = (logarithms - centre) / scale
    scored = (survey.values.notna() & ~survey.censored).to_numpy()[hidden]
    truth = np.where(scored, standard[hidden], np.nan)
    told = survey.coordinates[~hidden], standard[~hidden], survey.coordinates[hidden]
    mean, deviation = krige(*told)
    others = {"fitted": np.nanmean(crps_of_normal(truth, *krige_fitted(*told))), "cokriging": np.nanmean(crps_of_normal(truth, *cokrige(*told))),
              "forest": np.nanmean(crps_of_draws(truth, forest_quantiles(*told, key["seed"])))}
    draws, seconds = draw(survey, hidden, key["seed"], device)
    draws = (draws - centre) / scale
    ours, rival = crps_of_draws(truth, draws), crps_of_normal(truth, mean, deviation)
    logs = np.nanmean(norm.logpdf(truth, draws.mean(axis=0), draws.std(axis=0))), np.nanmean(norm.logpdf(truth, mean, deviation))
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    best = min(np.nanmean(rival), *others.values())
    return key | {"samples": int((~hidden).sum()), "elements": survey.n_elements, "crps": np.nanmean(ours), "crps_kriging": np.nanmean(rival),
                  "ratio": np.nanmean(ours) / np.nanmean(rival), "worst": (np.nanmean(ours, axis=0) / np.nanmean(rival, axis=0)).max(),
                  "log_score": logs[0], "log_gain": logs[0] - logs[1],
                  "coverage_90": ((low <= truth) & (truth <= high))[scored].mean(), "fit_seconds": seconds,
                  "ratio_best": np.nanmean(ours) / best} | {f"crps_{name}": score for name, score in others.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--survey", nargs="+", choices=SURVEYS, default=list(SURVEYS))
    parser.add_argument("--design", nargs="+", choices=("random", "blocks"), default=["random", "blocks"])
    parser.add_argument("--seed", nargs="+", type=int)
    parser.add_argument("--redo", action="store_true")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    folder = Path(os.environ.get("SCVAE_NB_DATA", HERE.parent.parent / "shared" / "data"))
    if not folder.is_dir():
        sys.exit(f"no surveys in {folder}; set SCVAE_NB_DATA to their folder")
    warnings.simplefilter("ignore")
    for name in options.survey:
        survey = SURVEYS[name](folder)
        for design, seed in product(options.design, options.seed or SEEDS.get(name, [0, 1, 2])):
            results = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=KEY)
            same = (results[KEY] == [name, design, seed]).all(axis=1)
            if same.any() and not options.redo:
                continue
            row = run(survey, dict(zip(KEY, (name, design, seed), strict=True)), options.device)
            table = pd.concat([results[~same], pd.DataFrame([row])]) if len(results) else pd.DataFrame([row])
            table.sort_values(KEY).round(4).to_csv(RESULTS, index=False)
            print({part: round(value, 4) if isinstance(value, float) else value for part, value in row.items()}, flush=True)


if __name__ == "__main__":
    main()
