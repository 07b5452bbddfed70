"""One cell of the benchmark, in a process of its own: make the survey, or run a method on it and score it.

`benchmarks/versus.py` does this; there is nothing here to run by hand.
"""
import contextlib
import hashlib
import importlib
import json
import os
import pickle
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import norm

from scvae_nb import geostatistics, simulate_survey

from scvae_nb.geostatistics.random_fields import DENSE_SITES

from plan import OURS, Cell

LEVELS = (0.5, 0.8, 0.9, 0.95)
# loaded before the clock starts; importing torch takes seconds
LIBRARIES = {OURS: ["torch", "pyro", "scvae_nb.model.denoiser"], "lmc_gp": ["gpytorch"], "kriging": ["gstools"], "maf_kriging": ["gstools"],
             "cokriging": ["gstools"], "vae": ["torch", "scvae_nb.model.denoiser"], "graph": ["torch", "scvae_nb.model.denoiser"]}


# The survey


def cached(cell, cache):
    """Where the survey of a cell is kept. The name holds the source of the simulator: another simulator, another survey."""
    sources = sorted(Path(geostatistics.__file__).parent.glob("*.py"))
    text = cell.survey_name + "".join(path.read_text(encoding="utf-8") for path in sources)
    return Path(cache) / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.pickle"


def write_whole(path, write):
    """Write a file under another name first: one that is there is complete."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(draft, "wb") as file:
        write(file)
    os.replace(draft, path)


def prepare(cell, cache):
    """Simulate the survey of a cell unless it is there."""
    path = cached(cell, cache)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        twin = simulate_survey(**cell.survey, random_state=cell.seed)
        write_whole(path, lambda file: pickle.dump(twin, file, protocol=pickle.HIGHEST_PROTOCOL))
    return {}


# The methods: each returns a function that fits, one that denoises, and one that gives (median, log sd or None, intervals or None)


def oracle(cell, twin):
    """The floor: the true linear model. Its deviations come from dense matrices, so large surveys go without."""

    def read(signal):
        deviation = twin.oracle_deviation() * twin.scale["spread"] if len(signal) <= DENSE_SITES else None
        return signal, deviation, None

    return lambda: None, lambda fitted: twin.oracle(), read


def ours(cell, twin):
    """Default settings but for what the cell says."""
    from scvae_nb.model.denoiser import SCVAE

    def read(result):
        deviation = np.sqrt(result.std("latent", "model", "signal") ** 2 + result.std("epistemic", "model", "signal") ** 2)
        return result.signal, deviation, {level: result.interval(level, layer="signal") for level in LEVELS}

    return (lambda: SCVAE(random_state=cell.seed, progress=False, **cell.options).fit(twin.survey), lambda model: model.denoise(), read)


def baseline(cell, twin):
    """One of `scvae_nb.evaluation.baselines`."""
    from scvae_nb.evaluation.baselines import BASELINES

    method = BASELINES[cell.method](random_state=cell.seed, **cell.options)
    def read(estimate):
        return (estimate.signal, estimate.standard_deviation, None)

    return lambda: method.fit(twin.survey), lambda fitted: fitted.denoise(), read


# The scores


def scores(twin, signal, deviation, intervals):
    """Error, coverage and CRPS of an estimate of the signal, on the scale where its standard deviation is 1."""
    spread = twin.scale["spread"].to_numpy()
    error = (twin.standardise(signal) - twin.standardise(twin.signal)).to_numpy()
    rmse = twin.rmse(signal, layer="signal")
    row = {"rmse": rmse, "mae": float(np.abs(error).mean()), "noise_left": rmse**2 / twin.noise**2}
    if deviation is None:
        return row
    sd = np.maximum(np.asarray(deviation) / spread, 1e-12)
    row["crps"] = float(gaussian_crps(error, sd).mean())
    for level in LEVELS:
        if intervals is None:
            inside = np.abs(error) <= norm.ppf((1 + level) / 2) * sd
        else:
            lower, upper = (np.asarray(end) for end in intervals[level])
            inside = (lower <= twin.signal.to_numpy()) & (twin.signal.to_numpy() <= upper)
        row[f"coverage_{round(100 * level)}"] = float(inside.mean())
    return row


def gaussian_crps(error, sd):
    """Continuous ranked probability score of Normal predictions (Gneiting and Raftery 2007), in units of `error`."""
    z = error / sd
    return sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))


def peak_memory():
    """Largest resident memory of this process so far, MiB."""
    with contextlib.suppress(OSError):
        # what getrusage says includes what the parent held when it started this process
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def run(cell, cache):
    """Fit, denoise, score. The clock and the memory stop before the scores."""
    with open(cached(cell, cache), "rb") as file:
        twin = pickle.load(file)
    for name in LIBRARIES.get(cell.method, []):
        importlib.import_module(name)
    fit, denoise, read = {"oracle": oracle, OURS: ours}.get(cell.method, baseline)(cell, twin)
    before, cpu, start = peak_memory(), time.process_time(), time.perf_counter()
    fitted = fit()
    middle = time.perf_counter()
    result = denoise(fitted)
    times = {"fit_seconds": middle - start, "denoise_seconds": time.perf_counter() - middle, "cpu_seconds": time.process_time() - cpu,
             "peak_memory_mib": peak_memory(), "memory_before_mib": before}
    return scores(twin, *read(result)) | times


def main(job, answer):
    """Do a job, {"do": "prepare" or "run", "cell": ..., "cache": ...}, and write what came of it as JSON."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row = {"prepare": prepare, "run": run}[job["do"]](Cell(**job["cell"]), job["cache"]) | {"status": "ok", "note": ""}
    except Exception as error:
        traceback.print_exc()
        row = {"status": "error", "note": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    write_whole(Path(answer), lambda file: file.write(json.dumps(row).encode()))
