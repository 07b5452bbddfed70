"""Two tasks of a public benchmark of anomaly scores, under its own protocol and under a stricter one. One command, and it can be stopped.

    python benchmarks/anomaly_tasks.py                                  everything that is missing in the results
    python benchmarks/anomaly_tasks.py --task rock2 --family plain
    python benchmarks/anomaly_tasks.py --redo                           runs again what is there
    python benchmarks/anomaly_tasks.py --keep FOLDER                    keeps the scores of every sample there, and takes those that are kept

The surveys are not in the repository: SCVAE_NB_DATA names their folder (default: ../shared/data beside the clone). `sed1` is 1,392 stream sediments around
Katanning and 32 gold sites, `rock2` 223 rock chips of a prospect and 12 gold sites (OpenGADBench; Geological Survey of Western Australia).

How the tables are read: -9999 is missing. A negative number is below its absolute value. A zero is below the lowest positive content of the element in its
report (of the table, if the report has none). A sample that several reports repeat counts once, with its first report. An oxide beside its own element is
left out, and so are elements without a content or reported for less than half of the samples. Where a method needs complete tables, half the limit stands
for what is below it, and the median of the element for what is missing.

Protocols. `public`: a deposit has the score of its nearest row, every report is a row, as many negatives are drawn with replacement from rows 5 km or more
from any deposit (all rows where none is so far), 20 draws, seed 42. `matched`: each sample once; 20 draws of as many negatives, matched for sampling
density, 5 km or more from any deposit (or the largest of 2,000, 1,000, 500, 250, 100 and 50 m that leaves five times as many samples as deposits). `lower`
and `upper` are 90 % intervals over groups of deposits that share a sample. `over_gold` is the ROC-AUC less that of the content of gold, with an interval
over the same draws.
"""
import argparse
import os
import sys
import warnings
from functools import partial
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

import numpy as np
import pandas as pd
import torch
from scipy.spatial import cKDTree
from sklearn.covariance import MinCovDet

from scvae_nb import SCVAE, Survey
from scvae_nb.prospectivity.anomalies import isolation_scores
from scvae_nb.prospectivity.anomaly_score import anomaly_score, element_symbol
from scvae_nb.prospectivity.autoencoders import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from scvae_nb.prospectivity.target_scores import average_precision, bootstrap_weights, draw_negatives, nearest_samples, roc_auc, sampling_distance

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "anomaly_tasks.csv"
KEY = ["task", "family", "seed", "score", "protocol"]
TASKS = {"sed1": ("extra_katanning_samples.csv", "extra_katanning_gold_sites.csv", "compsampid", "wamex_a_no", ["lon", "lat"], "EPSG:28350"),
         "rock2": ("extra_gad_rock2_samples.csv", "extra_gad_rock2_sites.csv", "COMPSAMPID", "WAMEX_A_NO", ["X", "Y"], "EPSG:28351")}
SEEDS = {"blind": [0], "plain": [0], "autoencoders": [0, 1, 2], "scvae": [0, 1, 2]}
GOLD, N_DRAWS, N_BOOTSTRAP = "Au_ppm", 20, 2000
N_COMPONENTS = 10  # in which distances and the forest work

# The surveys


def with_limits(table, elements, report):
    """The element columns with every value below a limit as minus that limit."""
    values = table[elements].astype(float).mask(table[elements] == -9999)
    positive = values.where(values > 0)
    lowest = positive.groupby(table[report]).transform("min").fillna(positive.min())
    return values.mask(values == 0, -lowest)


def read_task(folder, task):
    """Survey of distinct samples in metres; all rows in degrees and the number of the sample of each; deposits in degrees and in metres."""
    import pyproj

    file, sites, sample, report, degrees, crs = TASKS[task]
    table = pd.read_csv(folder / file, dtype={sample: str})
    once = table.drop_duplicates(sample).reset_index(drop=True)
    columns = [name for name in table if str(name).endswith(("_ppm", "_ppb", "_pct")) and element_symbol(name)]
    plain = {element_symbol(name) for name in columns if "O" not in str(name).split("_")[0][1:]}
    columns = [name for name in columns if element_symbol(name) not in plain or "O" not in str(name).split("_")[0][1:]]
    columns = [name for name in columns if (once[name] > 0).any() and ((once[name] != -9999) & once[name].notna()).mean() >= 0.5]
    values = with_limits(table, columns, report).loc[table.drop_duplicates(sample).index].reset_index(drop=True)
    frame = pd.concat([once[degrees].set_axis(["lon", "lat"], axis=1), values], axis=1)
    survey = Survey.from_frame(frame, "lon", "lat", crs="EPSG:4283", to_crs=crs, elements=columns, negative_censored=True, name=task)
    rows, number = table[degrees].to_numpy(), table[sample].map(pd.Series(once.index, index=once[sample])).to_numpy()
    deposits = pd.read_csv(folder / sites)[degrees].to_numpy()
    metres = np.column_stack(pyproj.Transformer.from_crs("EPSG:4283", crs, always_xy=True).transform(*deposits.T))
    return survey, rows, number, deposits, metres


# The protocols


def great_circle(one, other):
    """Kilometres from each of (n, 2) to the nearest of (m, 2), degrees."""
    (west, south), (east, north) = np.radians(one).T[..., None], np.radians(other).T[:, None]
    half = np.sin((south - north) / 2) ** 2 + np.cos(south) * np.cos(north) * np.sin((west - east) / 2) ** 2
    return 2 * 6371 * np.arcsin(np.sqrt(half)).min(axis=1)


class Judge:
    """Judges scores of the distinct samples of a task under both protocols."""

    def __init__(self, survey, rows, number, deposits, metres):
        self.number, self.places = number, survey.coordinates
        self.density = np.log(sampling_distance(self.places) + 1)
        self.public_nearest, far = cKDTree(rows).query(deposits)[1], np.flatnonzero(great_circle(rows, deposits) >= 5)
        generator, far = np.random.default_rng(42), far if len(far) else np.arange(len(rows))
        self.public_drawn = [generator.choice(far, len(deposits)) for _ in range(N_DRAWS)]
        self.nearest, away = nearest_samples(self.places, metres), cKDTree(metres).query(self.places)[0]
        self.least = next(least for least in (5000, 2000, 1000, 500, 250, 100, 50) if (away >= least).sum() >= 5 * len(metres))
        self.drawn = [draw_negatives(self.places, metres, len(metres), self.least, self.density, draw) for draw in range(N_DRAWS)]
        self.weights = bootstrap_weights(self.nearest, N_BOOTSTRAP)
        self.clusters = len(np.unique(self.nearest))

    def scores(self, values, gold):
        """A dict per protocol, of scores of the distinct samples (n,), or of all rows for the public protocol only; `gold` (n,), its content."""
        rows = self.number
        sets = {"public": (values if len(values) == len(rows) else values[rows], gold[rows], self.public_nearest, self.public_drawn)}
        if len(values) == len(gold):
            sets["matched"] = values, gold, self.nearest, self.drawn
        for protocol, (score, content, nearest, drawn) in sets.items():
            presence, apart = score[nearest], [score[rows] for rows in drawn]
            pooled = np.concatenate(drawn)
            spread = roc_auc(presence, score[pooled], self.weights)
            over = spread - roc_auc(content[nearest], content[pooled], self.weights)
            value = roc_auc(presence, score[pooled])
            top = np.argsort(-score, kind="stable")[:max(1, int(0.05 * len(score)))]
            yield dict(protocol=protocol, auc=value, over_draws=np.std([roc_auc(presence, each) for each in apart]),
                       lower=np.quantile(spread, 0.05), upper=np.quantile(spread, 0.95),
                       average_precision=np.mean([average_precision(presence, each) for each in apart]),
                       best_5_percent=np.isin(nearest, top).mean(), over_gold=value - roc_auc(content[nearest], content[pooled]),
                       over_gold_lower=np.quantile(over, 0.05), over_gold_upper=np.quantile(over, 0.95),
                       clusters=self.clusters, least_distance=5000 if protocol == "public" else self.least)


# The scores


def complete(contents):
    """Standardised centred log-ratios (n, p) of contents, the median of an element where it is missing."""
    logs = np.log(contents)
    logs = logs.fillna(logs.median())
    ratios = logs.sub(logs.mean(axis=1), axis=0)
    return (ratios - ratios.mean()) / ratios.std()


def unusual(contents, name):
    """Scores of how unusual samples are, from contents (n, p); names begin with `name`."""
    table = complete(contents)
    left, size, _ = np.linalg.svd(table.to_numpy(), full_matrices=False)
    components = left[:, :N_COMPONENTS] * size[:N_COMPONENTS]
    return {f"{name}z-score, largest of all elements": table.abs().max(axis=1).to_numpy(), f"{name}isolation forest": isolation_scores(table).to_numpy(),
            f"{name}Mahalanobis, robust": MinCovDet(random_state=0).fit(components).mahalanobis(components),
            f"{name}5 nearest neighbours": cKDTree(table).query(table, 6)[0][:, 1:].mean(axis=1)}


def blind(survey, number, _):
    """Scores that know no chemistry; the second counts every report as a sample."""
    reports = sampling_distance(survey.coordinates[number], distinct=False)
    return {"distance to 16 samples": sampling_distance(survey.coordinates), "distance to 16 reports": reports, "easting": survey.easting,
            "northing": survey.northing}


def plain(survey, *_):
    """Scores of the survey as it is."""
    contents, default = survey.substituted(0.5).values, anomaly_score(survey, GOLD)
    return {"gold": contents[GOLD].to_numpy(), "anomaly_score": default["score"].to_numpy(), "gold over its peers": default["target"].to_numpy(),
            "pathfinders over their peers": default["pathfinders"].fillna(default["target"]).to_numpy()} | unusual(contents, "")


def autoencoders(survey, _, seed):
    """Reconstruction errors of standardised logarithms."""
    logs = np.log(survey.substituted(0.5).values)
    kinds = {"autoencoder": Autoencoder, "denoising autoencoder": DenoisingAutoencoder, "variational autoencoder": VariationalAutoencoder}
    return {name: -kind(random_state=seed, progress=False).fit(logs).score_samples(logs) for name, kind in kinds.items()}


def scvae(survey, _, seed):
    """What the spatially constrained autoencoder makes of the survey, default settings."""
    model = SCVAE(random_state=seed, progress=False, device="cpu").fit(survey)
    result, logs = model.denoise(), np.log(survey.substituted(0.5).values)
    found = {"residual of the model, gold": logs[GOLD] - np.log(result.denoised[GOLD]),
             "residual of the model, all elements": (((logs - np.log(result.denoised)) / logs.std()) ** 2).mean(axis=1)}
    for layer, contents in {"denoised": result.denoised, "signal": result.signal}.items():
        found |= {f"{layer} gold": contents[GOLD], f"anomaly_score of {layer}": anomaly_score(result, GOLD, layer=layer)["score"]}
        found |= unusual(contents, f"{layer}: ")
    return {name: np.asarray(values) for name, values in found.items()}


FAMILIES = {"blind": blind, "plain": plain, "autoencoders": autoencoders, "scvae": scvae}


def kept(path, make):
    """A table of scores from `path` if it is there, else made, and written if there is a path."""
    if path is not None and path.exists():
        return pd.read_csv(path)
    table = pd.DataFrame({name: pd.Series(values) for name, values in make().items()})
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False)
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--seed", nargs="+", type=int, help="of the families that have one")
    parser.add_argument("--redo", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    folder = Path(os.environ.get("SCVAE_NB_DATA", HERE.parent.parent / "shared" / "data"))
    if not folder.is_dir():
        sys.exit(f"no surveys in {folder}; set SCVAE_NB_DATA to their folder")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for task in options.task:
        survey, *rest = read_task(folder, task)
        print(task, survey, flush=True)
        judge, gold = Judge(survey, *rest), survey.substituted(0.5).values[GOLD].to_numpy()
        for family in options.family:
            for seed in SEEDS[family] if options.seed is None or len(SEEDS[family]) == 1 else options.seed:
                results = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=KEY)
                same = (results[KEY[:3]] == [task, family, seed]).all(axis=1)
                if same.any() and not options.redo:
                    continue
                path = None if options.keep is None else options.keep / f"{task}_{family}_{seed}.csv"
                table = kept(path, partial(FAMILIES[family], survey, judge.number, seed))
                rows = [dict(task=task, family=family, seed=seed, score=name) | judged for name in table
                        for judged in judge.scores(table[name].dropna().to_numpy(), gold)]
                both = pd.concat([results[~same], pd.DataFrame(rows)]) if len(results) else pd.DataFrame(rows)
                both.sort_values(KEY).round(4).to_csv(RESULTS, index=False)
                print(pd.DataFrame(rows).pivot(index="score", columns="protocol", values="auc").round(3), flush=True)


if __name__ == "__main__":
    main()
