"""How far can probabilities be trusted that two ensembles learnt from 27 deposits? Searches, folds and seeds, against deposits that stay hidden.

    python benchmarks/ensembles.py                                  everything that is missing in the results, about 15 minutes on one core
    python benchmarks/ensembles.py --design districts --seed 0 1    the first two districts only
    python benchmarks/ensembles.py --redo                           runs again what is there

A simulated district of 90 km has 624 samples and 54 deposits, of which 27 are known. Pseudo-absences: 81 of the cells that are 4 km or more from every known
deposit. Known deposits and pseudo-absences are split 70/15/15 at random: 19 + 57 rows to learn from, 4 + 12 for validation, 4 + 12 for test. Nothing is chosen
on the last two parts, so they are judged together as well: 8 + 24 rows. Evidence: moving means of log Au and of log As + log Sb, isolation of robust log-ratio
components, distance to faults and density of faults (both logistic), distance to granites.

--design districts: 20 seeds, each with a district, a history of discovery, pseudo-absences, a split and a search of its own. It says what to expect in a new
district.
--design draws: district 0 with 10 draws of pseudo-absences, splits and searches, random folds only. It says how much one study owes to chance.

Models: lightgbm_adaboost and svm_naive_bayes, each by three searches and with two kinds of five folds (random: stratified; blocks: squares of 15 km), and
beside them a logistic regression and log Au alone. A row has scores `auc_*`, `f1_*`, `brier_*`, `ece_*` (calibration error, 10 bins of equal width) on

    fold       the rows that were learnt from, each by a model that did not see its fold; the score of the chosen settings
    test       4 known deposits + 12 pseudo-absences (auc only)
    held       8 known deposits + 24 pseudo-absences
    hidden     27 hidden deposits against the cells of the rule; numbers other than auc with 81 of them, mean of 20 draws; `null_hidden`: ece of a
               calibrated forecast; brier_level and ece_level: the same after the probabilities were brought from one deposit in two to one in four
    map        hidden deposits against all cells (auc only)
    elsewhere  27 known deposits of the next district against its cells of the rule (auc only)
    report     all 27 known deposits with 27 of the 81 pseudo-absences, those that were learnt from included

`cells`: the probability in 60 fixed cells of the district, for stability over draws.
"""
import argparse
import os
import time
import warnings
from functools import lru_cache
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

import numpy as np
import pandas as pd
import sklearn
from scipy.spatial import cKDTree
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scvae_nb.prospectivity.anomalies import LogRatioComponents, isolation_scores
from scvae_nb.prospectivity.ensembles import ENSEMBLES, SEARCHES, FitMemory, search_ensemble
from scvae_nb.prospectivity.evidence import distance_to, line_density, logistic_between, logistic_scale
from scvae_nb.prospectivity.layers import cell_centres, make_layer, stack_layers
from scvae_nb.prospectivity.probability_scores import at_prevalence, brier, calibrated_errors, calibration_error, f1
from scvae_nb.prospectivity.prospect import simulate_prospect
from scvae_nb.prospectivity.target_scores import roc_auc
from scvae_nb.prospectivity.training_places import block_folds, draw_pseudo_absences, label_cells, stratified_folds

RESULTS = Path(__file__).resolve().parent / "results" / "ensembles.csv"
KEY = ["design", "seed", "model", "search", "folds"]
N_SEEDS, REACH, BLOCK = {"districts": 20, "draws": 10}, 4_000.0, 15_000.0  # metres


# The district and its evidence


def evidence(prospect):
    """Six layers on the grid of a prospect."""
    survey, grid = prospect.survey.substituted(0.5), prospect.grid
    logs = np.log(survey.values)
    components = LogRatioComponents(5).fit(survey.values).transform(survey.values)
    samples = pd.DataFrame(dict(gold=logs["Au"], arsenic_antimony=logs["As"] + logs["Sb"], isolation=isolation_scores(components)))
    near = cKDTree(survey.coordinates).query(cell_centres(grid), k=8)[1]
    layers = {name: make_layer(samples[name].to_numpy()[near].mean(axis=1), grid, name) for name in samples}
    density = line_density(prospect.faults, grid, 3_000.0)
    layers["near_faults"] = logistic_scale(distance_to(prospect.faults, grid), *logistic_between(6_000.0, 0.0))
    layers["fault_density"] = logistic_scale(density, *logistic_between(0.0, float(density.quantile(0.95))))
    layers["distance_to_granites"] = distance_to(prospect.intrusions, grid) / 1000
    return stack_layers(layers)


@lru_cache(maxsize=3)
def district(seed):
    """Cells with evidence and known deposits of a district; numbers of rows with hidden deposits; and of the cells that the rule may draw."""
    prospect = simulate_prospect(n_samples=624, extent=90.0, n_deposits=54, share_known=0.5, random_state=seed)
    assert len(prospect.known) == len(prospect.hidden) == 27
    layers = evidence(prospect)
    cells, hidden = label_cells(layers, prospect.known), label_cells(layers, prospect.hidden).deposit
    far = cKDTree(cells.places).query(cells.coordinates)[0] >= REACH
    return cells, np.flatnonzero(hidden), np.flatnonzero(far & ~hidden)


def split(label, seed):
    """Row numbers to learn from (19 + 57), and for the two other parts (4 + 12 each)."""
    generator, parts = np.random.default_rng([seed, 1]), ([], [], [])
    for kind, sizes in ((1, (19, 4)), (0, (57, 12))):
        rows = generator.permutation(np.flatnonzero(label == kind))
        for part, dealt in zip(parts, np.split(rows, np.cumsum(sizes)), strict=True):
            part.append(dealt)
    return [np.concatenate(part) for part in parts]


# The scores


def scores(label, probability, name):
    """The four scores by name."""
    return {f"auc_{name}": roc_auc(probability[label == 1], probability[label == 0]), f"f1_{name}": f1(label, probability),
            f"brier_{name}": brier(label, probability), f"ece_{name}": calibration_error(label, probability)}


def hidden_scores(told, hidden, background, learnt, seed):
    """Scores on hidden deposits against cells of the rule, from probabilities `told` of all cells."""
    label, generator, found = np.repeat([1, 0], [len(hidden), 81]), np.random.default_rng([seed, 2]), []
    for _ in range(20):
        probability = told[np.concatenate([hidden, generator.choice(background, 81, replace=False)])]
        level = at_prevalence(probability, learnt, 0.25)
        found.append(scores(label, probability, "hidden") | {"null_hidden": calibrated_errors(probability, n_draws=50, random_state=0).mean(),
                     "brier_level": brier(label, level), "ece_level": calibration_error(label, level)})
    return pd.DataFrame(found).mean().to_dict() | {"auc_hidden": roc_auc(told[hidden], told[background])}


def judge(predict, rows, parts, place, seed, learnt):
    """All scores of a fitted model, `predict` from a table of evidence."""
    cells, hidden, background = district(place)
    other, _, other_background = district(place + 1)
    learn, validation, test = parts
    held, told, away = np.concatenate([validation, test]), predict(cells.features), predict(other.features)
    said = predict(rows.features)
    reported = np.concatenate([np.flatnonzero(rows.label == 1), np.random.default_rng([seed, 3]).choice(np.flatnonzero(rows.label == 0), 27, replace=False)])
    rest = np.setdiff1d(np.arange(len(told)), hidden)
    fixed = np.random.default_rng(4).choice(len(told), 60, replace=False)
    found = scores(rows.label[held], said[held], "held") | hidden_scores(told, hidden, background, learnt, seed)
    return found | scores(rows.label[reported], said[reported], "report") | {
        "auc_test": roc_auc(said[test][rows.label[test] == 1], said[test][rows.label[test] == 0]), "auc_map": roc_auc(told[hidden], told[rest]),
        "auc_elsewhere": roc_auc(away[other.deposit], away[other_background]), "cells": " ".join(f"{value:.2f}" for value in told[fixed])}


# The runs


def rivals(learning, rows, parts, folds, place, seed):
    """Rows of the logistic regression and of gold alone."""
    values, label = learning.features.to_numpy(), learning.label
    model = make_pipeline(StandardScaler(), LogisticRegression())
    told = cross_val_predict(model, values, label, cv=folds, method="predict_proba")[:, 1]
    model.fit(values, label)
    yield "logistic", scores(label, told, "fold") | judge(lambda table: model.predict_proba(table.to_numpy())[:, 1], rows, parts, place, seed, 0.25)
    gold = judge(lambda table: table["gold"].to_numpy() / 20, rows, parts, place, seed, 0.25)  # a rank between 0 and 1, no probability
    ranked = {name: value for name, value in gold.items() if name.startswith("auc")}
    yield "gold_alone", ranked | {"auc_fold": roc_auc(values[label == 1, 0], values[label == 0, 0])}


def run(design, seed, done):
    """Rows of one seed that are not done yet, one by one."""
    place = seed if design == "districts" else 0
    rows = draw_pseudo_absences(district(place)[0], 81, REACH, random_state=np.random.default_rng([seed, 5]))
    parts = split(rows.label, seed)
    learning = rows.take(parts[0])
    for kind in ("random", "blocks") if design == "districts" else ("random",):
        folds = stratified_folds(learning.label, 5, seed) if kind == "random" else block_folds(learning.coordinates, learning.label, BLOCK, 5, seed)
        key, memory = dict(design=design, seed=seed, folds=kind), FitMemory()
        if (design, seed, "gold_alone", "none", kind) not in done:
            for model, found in rivals(learning, rows, parts, folds, place, seed):
                yield key | dict(model=model, search="none") | found
        for model in ENSEMBLES:
            for search in SEARCHES:
                if (design, seed, model, search, kind) in done:
                    continue
                start = time.perf_counter()
                found = search_ensemble(learning, model, search, folds, random_state=seed, memory=memory)
                seconds = time.perf_counter() - start
                chosen = " ".join(f"{value:.4g}" for value in found.best.values())
                judged = judge(lambda table, found=found: found.probability(table).to_numpy(), rows, parts, place, seed, found.prevalence)
                about = dict(model=model, search=search, chosen=chosen, seconds=round(seconds, 2), accuracy_fold=found.score)
                yield key | about | scores(learning.label, found.out_of_fold, "fold") | judged


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--design", nargs="+", choices=("districts", "draws"), default=["districts", "draws"])
    parser.add_argument("--seed", nargs="+", type=int, help="by default 0 to 19 for districts, 0 to 9 for draws")
    parser.add_argument("--redo", action="store_true", help="run again what is there")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="deposits that share a cell")
    sklearn.set_config(skip_parameter_validation=True, assume_finite=True)  # a quarter faster; the rows are checked by search_ensemble
    for design in options.design:
        for seed in options.seed or range(N_SEEDS[design]):
            results = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=KEY)
            again = options.redo & (results["design"] == design) & (results["seed"] == seed)
            results = results[~again]
            for row in run(design, seed, set(results[KEY].itertuples(index=False, name=None))):
                results = pd.concat([results, pd.DataFrame([row])], ignore_index=True) if len(results) else pd.DataFrame([row])
                results[KEY + [name for name in results if name not in KEY]].round(4).to_csv(RESULTS, index=False)
            same = (results["design"] == design) & (results["seed"] == seed)
            print(design, seed, results.loc[same, ["auc_fold", "auc_hidden", "ece_hidden"]].mean().round(3).to_dict(), flush=True)


if __name__ == "__main__":
    main()
