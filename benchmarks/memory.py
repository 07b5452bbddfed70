"""Peak memory and time of fit and denoise on a large simulated survey.

    python benchmarks/memory.py [--n 50000] [--elements 12] [--epochs 1]

The fields are random Fourier features, so that the survey itself needs no dense matrix.
"""
import argparse
import resource
import time
import warnings

import numpy as np

from scvae_nb import SCVAE, Survey


def large_survey(n, n_elements, seed=0, ranges=(8, 15, 30), n_features=300):
    """A survey of n sites at the density of 2,000 sites in 100 x 100 map units, linear mixing, noise as strong as the signal."""
    rng = np.random.default_rng(seed)
    sites = rng.uniform(0, 100 * np.sqrt(n / 2000), (n, 2))
    fields = np.zeros((n, len(ranges)))
    for column, range_ in enumerate(ranges):
        frequency = rng.standard_normal((2, n_features)) * np.sqrt(3 / rng.chisquare(3, n_features)) / range_
        for wave, phase, amplitude in zip(frequency.T, rng.uniform(0, 2 * np.pi, n_features), rng.standard_normal(n_features)):
            fields[:, column] += amplitude * np.cos(sites @ wave + phase)
    signal = fields @ rng.standard_normal((len(ranges), n_elements))
    signal /= signal.std(0)
    return Survey(np.exp(0.3 * (signal + rng.standard_normal(signal.shape))), sites, units="ppm"), signal


def peak():
    """Peak resident memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--elements", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=1)
    options = parser.parse_args()
    survey, signal = large_survey(options.n, options.elements)
    print(f"{options.n:,} sites x {options.elements} elements; before the fit: {peak():.2f} GiB")
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = SCVAE(max_epochs=options.epochs).fit(survey)
    print(f"fit, {options.epochs} epochs: {time.perf_counter() - started:.0f} s, peak {peak():.2f} GiB")
    started = time.perf_counter()
    result = model.denoise()
    log_error = (result.estimate("signal", scale="model").to_numpy() / 0.3) - signal
    print(f"denoise: {time.perf_counter() - started:.0f} s, peak {peak():.2f} GiB; RMSE of the signal {np.sqrt((log_error**2).mean()):.3f} signal sd")
