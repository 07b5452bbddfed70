"""How well do targets from known deposits find the hidden ones of a simulated district, and are their probabilities kept?

    python benchmarks/targets.py                     # ten districts, about one minute each on one core
    python benchmarks/targets.py --seeds 3           # districts 0, 1 and 2

Each district (36 x 36 km, 300 samples, 24 deposits, 13 of them known) is fitted once. The chain of `scvae-nb targets` is learnt from the known deposits, with
and without the distance to faults, and scores 50 posterior draws. Judged by the hidden deposits are: the mean over draws, the probability of the best 5 %, the
chain on the typical map alone, denoised gold alone, gold of the nearest sample, sampling density and coordinates; by the known ones, held out in blocks, the
chain. `promised` is the mean probability of being in the best 5 % in the 5 % of cells where it is highest, `kept` the share of them that are truly among the
best 5 % when the same chain scores the true contents. A row is written as soon as it is known; rows that are there are not made again.
"""
import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray
from scipy.spatial import cKDTree

from scvae_nb import SCVAE
from scvae_nb.prospectivity.evidence import distance_to
from scvae_nb.prospectivity.layers import cell_centres
from scvae_nb.prospectivity.prospect import simulate_prospect
from scvae_nb.prospectivity.target_chain import OccurrenceChain, blind_layers, held_out_scores, posterior_on_grid
from scvae_nb.prospectivity.target_scores import roc_auc, score_map, success_curve
from scvae_nb.prospectivity.targets import share_in_best, target_maps

RESULTS = Path(__file__).with_name("results") / "targets.csv"
ORIGIN = np.array([300_000.0, 3_700_000.0])  # south-west corner of a simulated prospect


def judged(scored):
    "Area under the curve, and share of the deposits in the best 5 and 10 % of the area."
    curve = success_curve(scored.presence, scored.area)
    return dict(auc=roc_auc(scored.presence, scored.background), within_5=curve.deposits_within(0.05), within_10=curve.deposits_within(0.1))


def true_contents(prospect, like):
    "What the elements truly are in the cells, deposits included."
    logs = prospect.district.geology.log_signal((cell_centres(prospect.grid) - ORIGIN) / 1000)
    blank = next(iter(like.data_vars.values()))
    return xarray.Dataset({name: blank.copy(data=np.exp(logs[name].to_numpy()).reshape(blank.shape)) for name in like.data_vars})


def one_district(seed):
    "Rows of one district."
    prospect = simulate_prospect(n_samples=300, extent=36.0, n_deposits=24, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        posterior = posterior_on_grid(SCVAE(random_state=seed, progress=False).fit(prospect.survey), prospect.grid)
    blank, survey = posterior.typical["Au"], prospect.survey
    nearest = cKDTree(survey.coordinates).query(cell_centres(prospect.grid))[1]
    layers = {"denoised Au alone": blank, "Au of the nearest sample": blank.copy(data=survey.values["Au"].to_numpy()[nearest].reshape(blank.shape)),
              **blind_layers(blank, survey.coordinates)}
    draws, truth = list(posterior.draws(50, random_state=seed)), true_contents(prospect, posterior.typical)
    rows = []
    for evidence, fixed in (("with faults", {"ln fault distance": np.log(distance_to(prospect.faults, prospect.grid) + 500)}), ("elements only", None)):
        chain = OccurrenceChain("Au", random_state=seed).fit(posterior.typical, prospect.known, fixed)
        maps = target_maps(draws, chain.scores, progress=False)
        best = np.argsort(-maps["in_best"].values.ravel(), kind="stable")[:round(0.05 * blank.size)]
        truly = np.mean([share_in_best(score(truth).values.ravel()) for score in chain.scores], axis=0)
        promise = dict(promised=maps["in_best"].values.ravel()[best].mean(), kept=truly[best].mean())
        rows += [dict(evidence=evidence, score="mean over draws", deposits="hidden", **judged(score_map(maps["mean"], prospect.hidden)), **promise),
                 dict(evidence=evidence, score="probability of the best 5 %", deposits="hidden", **judged(score_map(maps["in_best"], prospect.hidden))),
                 dict(evidence=evidence, score="typical map alone", deposits="hidden", **judged(score_map(chain.score(posterior.typical), prospect.hidden))),
                 dict(evidence=evidence, score="typical map alone", deposits="held out", **judged(held_out_scores(chain, random_state=seed)))]
    rows += [dict(evidence="none", score=name, deposits="hidden", **judged(score_map(layer, prospect.hidden))) for name, layer in layers.items()]
    return pd.DataFrame(rows).assign(seed=seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="how many districts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = set(pd.read_csv(RESULTS)["seed"]) if RESULTS.exists() else set()
    for seed in sorted(set(range(options.seeds)) - done):
        one_district(seed).round(4).to_csv(RESULTS, mode="a", header=not RESULTS.exists(), index=False)
        print(f"district {seed} done", flush=True)


if __name__ == "__main__":
    main()
