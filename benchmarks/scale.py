"""How time and memory grow with the number of sites: a default fit, then denoise, at 2e3 to 1e6 sites of the same density.

    python benchmarks/scale.py                           sizes that are missing in benchmarks/results/scale.csv
    python benchmarks/scale.py --sites 2000 10000        these sizes only
    python benchmarks/scale.py --redo                    again, although the results are there
    python benchmarks/scale.py --threads 2               as many threads as you have cores (the default)
    python benchmarks/scale.py --device cuda             on a GPU; rows of other devices stay
    python benchmarks/scale.py --steps --device cuda     milliseconds of a gradient step against the batch size, printed

Each size runs in a process of its own, so that its memory is its own, and is written as soon as it ends. The survey is made by another one:
the densest matrix in this benchmark is the survey itself. 2,000 sites in 100 x 100 map units, 12 elements, three processes, linear mixing,
noise as strong as the signal.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "scale.csv"
KEY = ["device", "threads", "n_samples"]
BATCHES = (256, 1024, 4096, 8192)


def make(path, n_samples, n_elements, seed):
    """Simulate a survey; keep what is measured and the true signal (standard scale)."""
    from scvae_nb import simulate_survey

    twin = simulate_survey(n_samples, n_elements, extent=100 * (n_samples / 2000) ** 0.5, random_state=seed)
    np.savez(path, values=twin.survey.values.to_numpy(), coordinates=twin.survey.coordinates, elements=twin.survey.elements,
             signal=np.log(twin.signal.to_numpy()).astype(np.float32), spread=twin.scale["spread"].to_numpy())


def read_survey(path):
    """The survey that `make` kept, and the rest of the file."""
    from scvae_nb import Survey

    made = np.load(path, allow_pickle=False)
    frame = pd.DataFrame(made["values"], columns=[str(name) for name in made["elements"]])
    return Survey(frame, made["coordinates"], units="ppm"), made


def measure(path, device):
    """Fit and denoise; seconds, memory and the error of the signal."""
    import torch

    from cell import peak_memory
    from scvae_nb import SCVAE

    survey, made = read_survey(path)
    if device == "cuda":
        torch.linalg.cholesky(torch.eye(4, device=device))  # the first call of a process loads the libraries
    before, start = peak_memory(), time.perf_counter()
    model = SCVAE(progress=False, device=device, random_state=0).fit(survey)
    fitted, fit_memory = time.perf_counter(), peak_memory()
    result = model.denoise()
    denoised, memory = time.perf_counter(), peak_memory()
    error = (np.log(result.signal.to_numpy()) - made["signal"]) / made["spread"]
    return {"n_elements": survey.values.shape[1], "rounds": model.n_epochs_, "fit_seconds": fitted - start, "denoise_seconds": denoised - fitted,
            "denoised_by": result.model_summary["inference"], "peak_memory_mib": memory, "fit_memory_mib": fit_memory, "memory_before_mib": before,
            "rmse": float(np.sqrt((error**2).mean())), "gpu": torch.cuda.get_device_name() if device == "cuda" else "",
            "gpu_memory_mib": torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else ""}


def measure_steps(path, device, repeats=50):
    """Milliseconds of a gradient step of either way of inference, by batch size."""
    import torch
    from pyro.infer import TraceMeanField_ELBO

    from scvae_nb import SCVAE
    from scvae_nb.model.sites import make_site_data
    from scvae_nb.model.training import gradient_step

    survey, _ = read_survey(path)
    model = SCVAE(progress=False, device=device, inference="amortised", max_epochs=1, batch_size=8192).fit(survey)
    guide = model.guide_
    data = make_site_data(model.scaler_.transform(model.transform_.forward(survey.values)), survey.coordinates, survey.spacing(), 24, 12).to(device)
    objective = TraceMeanField_ELBO()(guide.generative, guide)
    optimiser = torch.optim.Adam(guide.parameters(), lr=1e-4, fused=True)
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)

    def step(rows, encoded):
        if not encoded:
            return gradient_step(objective, data, rows, torch.randn(len(rows), guide.generative.n_spatial, device=device), optimiser)
        posterior = guide.posterior(data, rows)
        return gradient_step(objective, data, rows, posterior.draw(), optimiser, 1.0, posterior.divergence.sum() / len(rows))

    table = {}
    for batch in BATCHES:
        rows = [torch.randint(len(data), (batch,), device=device) for _ in range(repeats + 5)]
        for encoded in (False, True):
            for number, chosen in enumerate(rows if device == "cuda" else rows[:15]):
                if number == 5:
                    wait()
                    started = time.perf_counter()
                step(chosen, encoded)
            wait()
            table[f"{batch} {'amortised' if encoded else 'refined'}"] = 1e3 * (time.perf_counter() - started) / (number - 4)
    return table


def in_process(threads, *arguments):
    """Run a part of this file in a fresh process; what it prints last is its answer."""
    count = str(threads)
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count)
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(Path(__file__).resolve()), "--part", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        return {"status": "error", "note": f"code {done.returncode} (-9: out of memory?) {' '.join(done.stderr.split())[-200:]}"}
    return json.loads(done.stdout.splitlines()[-1]) | {"status": "ok", "note": ""}


def part(name, *arguments):
    """What a fresh process does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "make":
            path, n_samples, n_elements = arguments
            make(path, int(n_samples), int(n_elements), seed=0)
            print("{}")
        else:
            print(json.dumps({"measure": measure, "steps": measure_steps}[name](*arguments)))


def write(path, row):
    """Put a row in the table over an older one of the same key; the file is replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.concat([pd.read_csv(path) if path.exists() else None, pd.DataFrame([row])])
    table = table.drop_duplicates(KEY, keep="last").sort_values(KEY)
    draft = path.with_suffix(".draft")
    table.to_csv(draft, index=False, float_format="%.5g")
    os.replace(draft, path)


def slope(table, column):
    """Slope of the logarithm of a column on the logarithm of the number of sites."""
    known = table[(table["status"] == "ok") & (table[column] > 0)]
    return np.polyfit(np.log(known["n_samples"]), np.log(known[column]), 1)[0] if len(known) > 1 else np.nan


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, nargs="+", default=[2000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--elements", type=int, default=12)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", action="store_true", help="gradient steps instead")
    parser.add_argument("--redo", action="store_true", help="run again what is in the results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table (benchmarks/results/scale.csv)")
    return parser.parse_args(arguments)


def print_steps(options):
    """Milliseconds of gradient steps on a survey of 20,000 sites."""
    with tempfile.TemporaryDirectory() as folder:
        survey = Path(folder) / "survey.npz"
        in_process(options.threads, "make", survey, 20_000, options.elements)
        row = in_process(options.threads, "steps", survey, options.device)
    print(row.pop("status"), row.pop("note"))
    for name, milliseconds in row.items():
        print(f"batch {name}: {milliseconds:.2f} ms a step, {1000 / milliseconds:.1f} steps a second")
    return 0


def main(arguments):
    from versus import describe_machine, now  # not at the top: the processes that are measured need none of it

    options = parse(arguments)
    if options.steps:
        return print_steps(options)
    machine = describe_machine(workers=1)
    done = pd.read_csv(options.results) if options.results.exists() else pd.DataFrame(columns=[*KEY, "status"])
    for n_samples in options.sites:
        key = dict(zip(KEY, (options.device, options.threads, n_samples)))
        if not options.redo and (done[KEY] == pd.Series(key)).all(axis=1).any():
            print(f"{n_samples:,} sites: in the results")
            continue
        with tempfile.TemporaryDirectory() as folder:
            survey = Path(folder) / "survey.npz"
            row = in_process(options.threads, "make", survey, n_samples, options.elements)
            if row["status"] == "ok":
                row = in_process(options.threads, "measure", survey, options.device)
        write(options.results, key | row | machine | {"date": now()})
        print(f"{n_samples:,} sites: " + (row["note"] or ", ".join(f"{name} {row[name]:.4g}" for name in (
            "fit_seconds", "denoise_seconds", "peak_memory_mib", "rmse"))), flush=True)
    table = pd.read_csv(options.results)
    table = table[(table["device"] == options.device) & (table["threads"] == options.threads)]
    print("slope of log seconds on log sites:", ", ".join(f"{name} {slope(table, name):.3f}" for name in ("fit_seconds", "denoise_seconds")))
    print(f"written to {options.results}")
    return int((table["status"] != "ok").any())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        part(*sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1:]))
