"""Does denoising help targeting? The same target scores from a raw survey and from four denoised ones. One command, and it can be stopped.

    python benchmarks/denoising_for_targets.py                       everything that is missing in the results
    python benchmarks/denoising_for_targets.py --case district --seed 0 1
    python benchmarks/denoising_for_targets.py --redo                runs again what is there
    python benchmarks/denoising_for_targets.py --keep FOLDER         keeps the denoised contents there, and takes those that are kept

`district` is a simulated district of 60 km with 900 stream sediments of 12 elements and 33 gold deposits, 18 of them known; one district per seed. `dense`
is a district of 30 km with 900 samples and 12 deposits (some have room for fewer), whose cells are of 500 m: every halo is met by several samples.
`alaska` is the 1,500 places of south-east Alaska with most gold occurrences among them, one sample each, 12 elements without gold; SCVAE_NB_DATA names the
folder of the survey (default: ../shared/data beside the clone), and without it the case is left out.

Inputs: `raw`; `kriging` and `cokriging`, nugget filtered at the samples; `vae`, a variational autoencoder that does not know the map (signal); `signal`
and `denoised` of this package, default settings. From each, contents of all cells are made in the same way, the mean logarithm of the 8 nearest samples
weighted by the inverse squared distance. Two more are not interpolated so: `kriged cells` and `signal in cells` are what kriging of each element, and the
model, say of the cells themselves.

Scores of cells: `gold`; `anomaly_score` and `Mahalanobis` (robust), unsupervised; `logistic`, a logistic regression on the logarithms of all elements, and
`logistic with geology`, which also has the logarithms of the distances to faults and to granite. A regression learns from the cells of the known deposits
against all others. In Alaska it learns from three quarters of blocks of 10 km and is judged on the fourth. `deposits` says which deposits are ranked
against all cells without one: all 33, or the 15 hidden ones with the cells of the known ones left out. `best_5` and `best_10` are the shares of them in
the best 5 and 10 % of the area.
"""
import argparse
import os
import sys
import time
import warnings
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

import numpy as np
import pandas as pd
import torch
from scipy.spatial import cKDTree
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scvae_nb import SCVAE, Survey
from scvae_nb.evaluation.baselines import Cokriging, Kriging, PlainVAE
from scvae_nb.evaluation.cell_predictors import krige_cells
from scvae_nb.geostatistics.kriging import automatic_variogram
from scvae_nb.prospectivity.anomalies import LogRatioComponents, composition_distances
from scvae_nb.prospectivity.anomaly_score import anomaly_score
from scvae_nb.prospectivity.evidence import distance_to
from scvae_nb.prospectivity.layers import cell_centres, cells_at
from scvae_nb.prospectivity.prospect import simulate_prospect
from scvae_nb.prospectivity.target_scores import roc_auc, success_curve

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "denoising_for_targets.csv"
KEY = ["case", "seed", "input", "score", "deposits"]
SEEDS = {"district": list(range(10)), "dense": list(range(10)), "alaska": [0, 1, 2]}
SETTINGS = {"district": {}, "dense": dict(extent=30.0, n_deposits=12, cell_size=500.0)}
BLOCK = 10_000  # side of a block in Alaska, m

# The inputs


def krige_all(logs, places, cells):
    """Logarithms (m, p) that ordinary kriging of each element from 40 neighbours says of cells (m, 2)."""
    everywhere, targets = np.concatenate([places, cells]), len(places) + np.arange(len(cells))
    columns = [krige_cells(np.concatenate([column, np.full(len(cells), np.nan)]), everywhere, automatic_variogram(column, places), targets, 40)[0]
               for column in logs.T]
    return np.column_stack(columns)


def make_inputs(survey, cells, seed):
    """Logarithms of contents by input: of samples (n, p), or of cells (m, p); and the seconds that each took."""
    found, seconds = {}, {}

    def add(name, make):
        start = time.process_time()
        found[name] = np.log(make())
        seconds[name] = time.process_time() - start

    raw = survey.substituted(0.5).values.to_numpy()
    add("raw", lambda: raw)
    for name, kind in {"kriging": Kriging(random_state=seed), "cokriging": Cokriging(n_neighbours=30, random_state=seed), "vae": PlainVAE(seed)}.items():
        add(name, lambda kind=kind: kind.fit(survey).denoise().signal.to_numpy())
    start = time.process_time()
    model = SCVAE(random_state=seed, progress=False, device="cpu").fit(survey)
    result = model.denoise()
    fitting = time.process_time() - start
    for name, make in {"signal": lambda: result.signal.to_numpy(), "denoised": lambda: result.denoised.to_numpy(),
                       "signal in cells": lambda: model.predict(cells).signal.to_numpy()}.items():
        add(name, make)
        seconds[name] += fitting
    add("kriged cells", lambda: np.exp(krige_all(np.log(raw), survey.coordinates, cells)))
    return found, seconds


def in_cells(logs, places, cells, count=8):
    """Logarithms (m, p) in cells (m, 2): mean of the `count` nearest samples that report the element, weighted by the inverse squared distance."""
    if len(logs) == len(cells):
        return logs
    columns = []
    for column in logs.T:
        known = np.isfinite(column)
        distance, near = cKDTree(places[known]).query(cells, count)
        weight = 1 / np.maximum(distance, 1.0) ** 2
        columns.append((weight * column[known][near]).sum(axis=1) / weight.sum(axis=1))
    return np.column_stack(columns)


# The scores


def learner():
    """A logistic regression on standardised columns, both classes of equal weight."""
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))


def learnt(features, known):
    """Score of every cell (m,) by a regression on features (m, q) of the cells of known deposits, numbers of cells, against all others."""
    label = np.isin(np.arange(len(features)), known)
    return learner().fit(features, label).decision_function(features)


def learnt_elsewhere(features, occupied, blocks):
    """Score of every cell (m,) by a regression that has learnt from the three other quarters of the blocks."""
    label, score = np.isin(np.arange(len(features)), occupied), np.empty(len(features))
    for quarter in range(4):
        held = blocks == quarter
        model = learner().fit(features[~held], label[~held])
        score[held] = model.decision_function(features[held]) - model.decision_function(features[~held]).mean()
    return score


def judged(score, deposits, left_out=()):
    """Rank of deposits, numbers of cells, among cells; `left_out` are no part of the area."""
    kept = ~np.isin(np.arange(len(score)), left_out)
    deposits = deposits[kept[deposits]]
    background = kept & ~np.isin(np.arange(len(score)), deposits)
    curve = success_curve(score[deposits], score[kept])
    return dict(n=len(deposits), auc=roc_auc(score[deposits], score[background]), best_5=curve.deposits_within(0.05), best_10=curve.deposits_within(0.10))


def unsupervised(logs, elements, target):
    """Scores (m,) that need no deposits."""
    contents = pd.DataFrame(np.exp(logs), columns=elements)
    found = {"Mahalanobis": composition_distances(LogRatioComponents(2).fit(contents), contents)["distance"].to_numpy()}
    return found | ({target[1]: contents[target[0]].to_numpy(), "anomaly_score": anomaly_score(contents, target[0])["score"].to_numpy()} if target else {})


# The cases


def district(seed, keep, case):
    """Rows of the results for a simulated district."""
    prospect = simulate_prospect(random_state=seed, **SETTINGS[case])
    cells, survey = cell_centres(prospect.grid), prospect.survey
    inputs, seconds = kept_inputs(keep, f"{case}_{seed}", lambda: make_inputs(survey, cells, seed))
    every, known, hidden = (cells_at(prospect.grid, np.column_stack([part.geometry.x, part.geometry.y]))
                            for part in (prospect.deposits, prospect.known, prospect.hidden))
    geology = np.log(np.column_stack([distance_to(shapes, prospect.grid).values.ravel() + 100 for shapes in (prospect.faults, prospect.intrusions)]))
    for name, logs in inputs.items():
        table = in_cells(logs, survey.coordinates, cells)
        scores = unsupervised(table, survey.elements, ("Au", "gold"))
        for score, values in scores.items():
            yield dict(input=name, score=score, deposits="all", seconds=seconds[name]) | judged(values, every)
        scores |= {"logistic": learnt(table, known), "logistic with geology": learnt(np.column_stack([table, geology]), known)}
        for score, values in scores.items():
            yield dict(input=name, score=score, deposits="hidden", seconds=seconds[name]) | judged(values, hidden, known)


def read_alaska(folder):
    """Survey of the 1,500 places with most gold occurrences among them, one sample each, and the gold occurrences in the circle that holds them, m."""
    import pyproj

    metres = pyproj.Transformer.from_crs(4269, 32608, always_xy=True)
    table = pd.read_csv(folder / "se_alaska_samples.csv", low_memory=False)
    table = table[table.medium_guess == "sediment_soil_or_rock"].drop_duplicates(["lon", "lat"])
    found = pd.read_csv(folder / "se_alaska_occurrences.csv", low_memory=False)
    found = found[found.comm_main.astype(str).str.contains(r"\bAu\b")]
    places, gold = (np.column_stack(metres.transform(part.lon, part.lat)) for part in (table, found))
    radius = cKDTree(places).query(gold, 1500)[0][:, -1]
    centre = np.argmax([(np.linalg.norm(gold - place, axis=1) < reach).sum() for place, reach in zip(gold, radius, strict=True)])
    near = np.argsort(np.linalg.norm(places - gold[centre], axis=1))[:1500]
    table, values, below = table.iloc[near].reset_index(drop=True), {}, {}
    for name in [name for name in table if name.endswith(("_ppm", "_pct"))]:
        text = table[name].astype(str)
        limited, number = text.str.startswith("<"), pd.to_numeric(text.str.lstrip("<"), errors="coerce")
        if number.notna().mean() > 0.8 and limited.mean() < 0.3 and (number.dropna() > 0).all():
            values[name], below[name] = number, limited & number.notna()
    survey = Survey(pd.DataFrame(values), places[near], censored=pd.DataFrame(below), crs="EPSG:32608", name="south-east Alaska")
    return survey, gold[np.linalg.norm(gold - gold[centre], axis=1) < radius[centre]]


def alaska(seed, keep, folder):
    """Rows of the results for south-east Alaska: cells of 1 km that lie within 3 km of a sample; `seed` deals the blocks."""
    survey, gold = read_alaska(folder)
    low, high = np.floor(survey.coordinates.min(axis=0) / 1000), np.ceil(survey.coordinates.max(axis=0) / 1000)
    cells = 1000 * np.stack(np.meshgrid(*(np.arange(a, b) + 0.5 for a, b in zip(low, high, strict=True))), axis=-1).reshape(-1, 2)
    cells = cells[cKDTree(survey.coordinates).query(cells)[0] < 3000]
    distance, occupied = cKDTree(cells).query(gold)
    occupied = occupied[distance < 750]
    inputs, seconds = kept_inputs(keep, f"alaska_{seed}", lambda: make_inputs(survey, cells, seed))
    number = np.unique(np.floor(cells / BLOCK), axis=0, return_inverse=True)[1].ravel()
    blocks = np.random.default_rng(seed).permutation(number.max() + 1)[number] % 4
    for name, logs in inputs.items():
        table = in_cells(logs, survey.coordinates, cells)
        scores = unsupervised(table, survey.elements, None) | {"logistic": learnt_elsewhere(table, occupied, blocks)}
        for score, values in scores.items():
            yield dict(input=name, score=score, deposits="other blocks" if score == "logistic" else "all", seconds=seconds[name]) | judged(values, occupied)


def kept_inputs(folder, name, make):
    """What `make` gives, from `folder` if it is there."""
    path = None if folder is None else folder / f"{name}.npz"
    if path is not None and path.exists():
        with np.load(path) as found:
            inputs = {key: found[key] for key in found if not key.startswith("seconds ")}
            return inputs, {key: float(found[f"seconds {key}"]) for key in inputs}
    inputs, seconds = make()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **inputs, **{f"seconds {key}": value for key, value in seconds.items()})
    return inputs, seconds


CASES = {"district": district, "dense": district, "alaska": alaska}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seed", nargs="+", type=int)
    parser.add_argument("--redo", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    folder = Path(os.environ.get("SCVAE_NB_DATA", HERE.parent.parent / "shared" / "data"))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for case in options.case:
        if case == "alaska" and not folder.is_dir():
            print(f"alaska is left out: no surveys in {folder}; set SCVAE_NB_DATA to their folder", file=sys.stderr)
            continue
        for seed in SEEDS[case] if options.seed is None else options.seed:
            results = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=KEY)
            same = (results[KEY[:2]] == [case, seed]).all(axis=1)
            if same.any() and not options.redo:
                continue
            rows = pd.DataFrame([dict(case=case, seed=seed) | row for row in CASES[case](seed, options.keep, folder if case == "alaska" else case)])
            table = pd.concat([results[~same], rows]) if len(results) else rows
            table.sort_values(KEY).round(4).to_csv(RESULTS, index=False)
            print(case, seed, rows.pivot(index="input", columns=["score", "deposits"], values="auc").round(3).to_string(), sep="\n", flush=True)


if __name__ == "__main__":
    main()
