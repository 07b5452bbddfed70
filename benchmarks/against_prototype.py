"""Fit time and accuracy beside the plain-torch prototype, in one process, alternating, on the same surveys.

    python benchmarks/against_prototype.py [--prototype FILE] [--seeds 0 1 2] [--n 2000] [--epochs 60]

Same sites, neighbours, predecessors, batch and latents; `inference="amortised"`, which is what the prototype does. `fit_ratio` compares the jobs: the
whole of our `fit` with its default number of epochs, over the prototype's training loop with `--epochs`. `epoch_ratio` compares the same work: seconds of
one of our epochs, held-out score included, over those of one of the prototype's. Without the prototype's file the script says so and ends.
"""
import argparse
import importlib.util
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from scvae_nb import SCVAE, simulate_survey

DEFAULT = Path(__file__).resolve().parents[1].parent / "shared" / "prototypes" / "structured_posterior.py"


def load_prototype(path):
    """The prototype as a module."""
    spec = importlib.util.spec_from_file_location("prototype", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compare(prototype, n, epochs, seed, mixing):
    """One row: seconds and ratio to the oracle of both."""
    sites, observed, signal, fields = prototype.simulate(n, nonlinear=mixing == "nonlinear", seed=seed)
    def rmse(estimate):
        return float(np.sqrt(((estimate - signal) ** 2).mean()))

    floor = rmse(prototype.oracle_cokriging(sites, observed, signal, fields))
    mean, _, _, prototype_seconds = prototype.fit_denoise(sites, observed, n_latent=6, k=24, m=12, epochs=epochs, batch=256, seed=seed)
    model = SCVAE(inference="amortised", n_spatial=6, n_neighbours=24, n_predecessors=12, batch_size=256, random_state=seed, progress=False)
    twin = simulate_survey(n, mixing=mixing, random_state=seed)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(twin.survey)
    seconds = time.perf_counter() - started
    epoch_ratio = model.history_["seconds"].iloc[-1] / model.n_epochs_ / (prototype_seconds / epochs)
    return dict(mixing=mixing, seed=seed, seconds=seconds, prototype_seconds=prototype_seconds, fit_ratio=seconds / prototype_seconds,
                epoch_ratio=epoch_ratio,
                ratio=twin.rmse(model.denoise().signal) / twin.rmse(twin.oracle()), prototype_ratio=rmse(mean) / floor)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prototype", type=Path, default=DEFAULT)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--mixing", nargs="+", default=["linear"], choices=["linear", "nonlinear"])
    options = parser.parse_args()
    if not options.prototype.is_file():
        raise SystemExit(f"skipped: there is no prototype at {options.prototype}")
    prototype = load_prototype(options.prototype)
    table = pd.DataFrame([compare(prototype, options.n, options.epochs, seed, mixing) for mixing in options.mixing for seed in options.seeds])
    print(table.round(3).to_string(index=False))
    print(table.groupby("mixing")[["fit_ratio", "epoch_ratio", "ratio", "prototype_ratio"]].agg(["mean", "std"]).round(3).to_string())
