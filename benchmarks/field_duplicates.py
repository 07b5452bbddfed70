"""Do denoised values predict field duplicates that the model has not seen? The Kola C horizon: 606 sites, 49 of them sampled twice.

    python benchmarks/field_duplicates.py                  # about 3 minutes on one core
    python benchmarks/field_duplicates.py --elements Cu_ppm Ni_ppm Zn_ppm Co_ppm

The model is fitted to the survey alone. Then, element by element: the mean squared difference between the logarithms of the second sample and of the denoised
first one, over that of the raw first one (below 1: denoising removed error and not geology), and how many second samples the intervals of a repeat
analysis hold. Last, half of the duplicates teach the measurement error, and the other half judges. The survey is read from the folder in SCVAE_NB_DATA
(default: ../shared/data beside the clone).
"""
import argparse
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from scvae_nb import SCVAE, Survey
from scvae_nb.model.measurement_error import learn_measurement
from scvae_nb.survey.replicates import Replicates

LEVELS = (0.5, 0.8, 0.9, 0.95)


def read_kola(folder, elements=None):
    """The survey without duplicates; second samples (49, p) of its sites `rows`; and which cells are values on both sides."""
    limits = pd.read_csv(folder / "kola_c_detection_limits.csv").set_index("column")
    table, pairs = pd.read_csv(folder / "kola_c_samples.csv", index_col="ID"), pd.read_csv(folder / "kola_c_field_duplicates.csv")
    # aqua regia, less than a quarter below detection
    names = elements or [name for name in table if name.endswith("_ppm") and "INAA" not in name and "XRF" not in name and name in pairs
                         and limits["fraction_below_dl"].get(name, 0) < 0.25]
    known = {name: float(limits.loc[name, "dl"]) for name in names if name in limits.index and (table[name] < limits.loc[name, "dl"]).any()}
    survey = Survey.from_frame(table, easting="x", northing="y", crs="EPSG:32635", elements=names, detection_limits=known)
    first, second = (pairs[pairs["role"] == role].set_index("pair_id") for role in ("main", "duplicate"))
    rows, second = first["kola_id"].to_numpy(), second.loc[first.index, names]
    judged = ~survey.censored.loc[rows].to_numpy() & second.notna().to_numpy() & ~(second < pd.Series(known).reindex(names)).to_numpy()
    return survey, rows, second, judged


def judge(result, rows, second, judged):
    """Ratios of mean squared errors by element, of denoised and signal over raw, and the coverage of a repeat by level."""
    def error(frame):
        return np.nanmean(np.where(judged, (np.log(frame.loc[rows].to_numpy()) - np.log(second.to_numpy())) ** 2, np.nan), axis=0)

    raw = error(result.survey.values)
    held = {level: ((low.loc[rows].to_numpy() <= second.to_numpy()) & (second.to_numpy() <= high.loc[rows].to_numpy()))[judged].mean()
            for level, (low, high) in result.interval(LEVELS, layer="observed").items()}
    return error(result.denoised) / raw, error(result.signal) / raw, held


def report(title, denoised, signal, held):
    print(f"{title}: denoised / raw {np.median(denoised):.2f} (better for {(denoised < 1).sum()}, worse for {(denoised > 1).sum()} elements), "
          f"signal / raw {np.median(signal):.2f}; a repeat lies in " + ", ".join(f"{100 * level:g} %: {100 * share:.0f} %" for level, share in held.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", nargs="+", help="columns of the survey; default: 33 elements by aqua regia")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(os.environ.get("SCVAE_NB_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "kola_c_samples.csv").exists():
        sys.exit(f"no survey data in {folder}: set SCVAE_NB_DATA to the folder that holds kola_c_samples.csv")
    survey, rows, second, judged = read_kola(folder, options.elements)
    model = SCVAE(random_state=options.seed, progress=False).fit(survey)
    report("no duplicates", *judge(model.denoise(), rows, second, judged))
    first = survey.values.loc[rows]
    apart = np.where(judged, (np.log(first.to_numpy()) - np.log(second.to_numpy())) ** 2, np.nan)
    ratio = model.measurement_["sd"] / np.sqrt(np.nanmean(apart, axis=0) / 2)
    print(f"measurement sd, model / duplicates: median {ratio.median():.2f}, for most elements {ratio.quantile(0.1):.2f} to {ratio.quantile(0.9):.2f}")
    taught = np.arange(len(rows)) % 2 == 0
    for half in (taught, ~taught):
        values = pd.concat([first[half], second[half].set_axis(first.index[half])])
        pairs = Replicates(values, values.index, censored=~np.vstack([judged[half]] * 2), units=survey.units)
        model.measurement_ = learn_measurement(model, pairs)
        report(f"taught by {half.sum()}", *judge(model.denoise(), rows[~half], second[~half], judged[~half]))


if __name__ == "__main__":
    main()
