"""Convolutional autoencoders and the classifier taught by their errors, beside simple rivals. One command, and it can be stopped.

    python benchmarks/convolutional.py                                   everything that is missing in the results
    python benchmarks/convolutional.py --case district --seed 0
    python benchmarks/convolutional.py --redo                            runs again what is there
    python benchmarks/convolutional.py --device cuda                     trains on a GPU

Three cases. `district`: a simulated prospect of 60 x 60 km, 900 samples, 33 deposits, cells of 250 m, nine layers as in Zhang et al. 2021 (singularity index
of Ag, As, Au, Cu, Sb; two log-ratio components; distances to faults and to intrusions); the logarithms of the contents are interpolated by inverse squared
distance from 12 samples; each seed is another district. `district kriged`: the same with ordinary kriging, to see how much the interpolation decides; the
jobs `rivals` and `errors 12` only, unless others are asked for. `wofe`: the four binary rasters of Geoscience Australia's weights-of-evidence case as means
of blocks of 10 x 10 cells of 100 m, and 258 deposits; the folder is named by SCVAE_NB_DATA (default: ../shared/data beside the clone), and the case is left
out where it is absent; each seed is another start of the training.

Settings were fixed beforehand and not tuned: training patches overlap by half, scored ones by three quarters; batches hold 9,216 cells. Where a score needs a
direction, high is the target; `best direction` says that the direction was chosen with the deposits. Rows: `job`, `item`, `measure`, `value`, and for scores of
deposits the 90 % interval over deposits (`lower`, `upper`). `area` is the share of the area that holds 77.8 % of the deposits.
The rows of `district`, seeds 1 and 2, were trained on a GPU, but for the jobs `rivals` and `errors 12`; their `seconds` are not those of a CPU.
In the corners of a district the windows of the singularity index hold too few cells; patches that reach into them are left out, and cells without a patch
have no score.
"""
import argparse
import os
import time
import warnings
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

import numpy as np
import pandas as pd
import torch
import xarray
from scipy.spatial import cKDTree
from sklearn.covariance import MinCovDet
from sklearn.decomposition import PCA

from scvae_nb.evaluation.cell_predictors import krige_cells
from scvae_nb.geostatistics.kriging import automatic_variogram
from scvae_nb.prospectivity.anomalies import LogRatioComponents, cells_as_table, isolation_scores, table_as_layers
from scvae_nb.prospectivity.convolutional_autoencoders import ConvolutionalAutoencoder, ConvolutionalEnsemble, leave_one_out
from scvae_nb.prospectivity.evidence import distance_to
from scvae_nb.prospectivity.layers import cell_centres, make_layer, read_layer, stack_layers
from scvae_nb.prospectivity.patch_classifier import SHARES, PatchClassifier, label_by_errors, probability_map
from scvae_nb.prospectivity.patches import cells_to_map, cut_patches, patches_to_map
from scvae_nb.prospectivity.prospect import simulate_prospect
from scvae_nb.prospectivity.singularity import singularity_index
from scvae_nb.prospectivity.target_scores import score_map, target_scores

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "convolutional.csv"
DATA = Path(os.environ.get("SCVAE_NB_DATA", HERE.parent.parent / "shared" / "data"))
COLUMNS = ["case", "seed", "job", "item", "measure", "value", "lower", "upper"]
SIZES, EPOCHS, LEFT_OUT_EPOCHS, HELD = (12, 24, 32), (20, 100), 50, 0.778
WINDOWS = (2, 4, 6, 8, 10, 12)  # half-widths of the singularity index, in cells: up to 6.25 km, three spacings of the samples


# The cases: layers, deposits, distance within which deposits are drawn together, and further maps that score


def interpolated(coordinates, values, grid):
    """Inverse squared distance of the 12 nearest samples, values (n, p) on all cells."""
    distance, near = cKDTree(coordinates).query(cell_centres(grid), k=12)
    weight = 1 / np.maximum(distance, 1.0) ** 2
    return (values[near] * (weight / weight.sum(axis=1, keepdims=True))[:, :, None]).sum(axis=1)


def kriged(coordinates, values, grid):
    """Ordinary kriging of each column from its 24 nearest samples with a fitted variogram, values (n, p) on all cells."""
    centres, columns = cell_centres(grid), []
    everywhere = np.concatenate([coordinates, centres])
    for column in values.T:
        padded = np.concatenate([column, np.full(len(centres), np.nan)])
        columns.append(krige_cells(padded, everywhere, automatic_variogram(column, coordinates), len(coordinates) + np.arange(len(centres)), 24)[0])
    return np.column_stack(columns)


def district(seed, interpolate=interpolated):
    prospect = simulate_prospect(cell_size=250.0, random_state=seed)
    grid, table = prospect.grid, prospect.survey.substituted(0.5).values
    components = LogRatioComponents(2).fit(table).transform(table)
    on_cells = interpolate(prospect.survey.coordinates, np.column_stack([np.log(table), components]), grid)
    maps = {name: make_layer(column, grid, name) for name, column in zip([*table.columns, "PC1", "PC2"], on_cells.T, strict=True)}
    layers = {name: make_layer(singularity_index(np.exp(maps[name].values), WINDOWS).index, grid, name) for name in ("Ag", "As", "Au", "Cu", "Sb")}
    layers |= {"PC1": maps["PC1"], "PC2": maps["PC2"], "distance to faults": distance_to(prospect.faults, grid),
               "distance to intrusions": distance_to(prospect.intrusions, grid)}
    density = -np.log(cKDTree(prospect.survey.coordinates).query(cell_centres(grid), k=16)[0].mean(axis=1))
    others = {"gold alone": maps["Au"], "singularity of gold alone": -layers["Au"], "distance to faults alone": -layers["distance to faults"],
              "sampling density (best direction)": make_layer(density, grid, "density"), "true halo": prospect.true_halo}
    return stack_layers(layers), prospect.deposits, None, others


def wofe(_):
    names = ("dist2breccia", "dist2fault", "faultdensity", "stratno")
    def coarse(name):
        return read_layer(DATA / f"extra_wofe_{name}.tif").coarsen(y=10, x=10, boundary="trim").mean()
    layers = stack_layers({name: coarse(name) for name in names})
    table = pd.read_csv(DATA / "extra_wofe_iocg_deposits.csv")[["x", "y"]]
    inside = ((table["x"] > float(layers["x"].min()) - 500) & (table["x"] < float(layers["x"].max()) + 500)
              & (table["y"] > float(layers["y"].min()) - 500) & (table["y"] < float(layers["y"].max()) + 500))
    print(f"wofe: {inside.sum()} of {len(table)} deposits lie in the blocks; 7 rows and 9 columns of cells at the border fill no block", flush=True)
    others = {f"{name} alone (best direction)": layers[name] for name in names}
    return layers, table[inside], 5000.0, others | {"published posterior": coarse("posteriorprobability")}


CASES = {"district": district, "wofe": wofe, "district kriged": lambda seed: district(seed, kriged)}


# The scores


def scores(layer, case, best=False):
    """AUC and area of a map, each with an interval over deposits, as rows (measure, value, lower, upper)."""
    _, deposits, cluster_distance, _ = case
    scored = score_map(layer, deposits, cluster_distance)
    table = target_scores(scored, held=HELD, n_draws=400)
    if best and table.loc["ROC-AUC", "value"] < 0.5:
        return scores(-layer, case)
    area = next(name for name in table.index if name.startswith("area that holds"))
    return [("AUC", *table.loc["ROC-AUC"]), ("area", *table.loc[area])]


def both(case, size):
    """Patches to learn from and patches to score."""
    return cut_patches(case[0], size, size // 2), cut_patches(case[0], size, size // 4)


def settings(size, seed, device):
    return {"batch_size": round(64 * (12 / size) ** 2), "random_state": seed, "device": device, "progress": False}


def rivals(case, seed, _):
    """Simple scores of the same layers, of cells and as means over the patches of 12 cells that cover a cell."""
    layers, _, _, others = case
    learn, scored = both(case, 12)
    table = cells_as_table(layers)
    standard = (table - table.mean()) / table.std()
    robust = MinCovDet(random_state=seed).fit(standard + 1e-3 * np.random.default_rng(seed).standard_normal(standard.shape))  # binary layers have ties
    maps = {"isolation forest": table_as_layers(isolation_scores(table, random_state=seed), layers)["isolation"],
            "Mahalanobis distance, robust": table_as_layers(pd.Series(robust.mahalanobis(standard), table.index, name="d"), layers)["d"]} | others
    for name in ("easting", "northing"):
        coordinate = np.meshgrid(layers["x"].values, layers["y"].values)[name == "northing"]
        maps[f"{name} (best direction)"] = make_layer(coordinate, layers, name)
    for name in [name for name in ("isolation forest", "Mahalanobis distance, robust", "gold alone", "published posterior") if name in maps]:
        windows = cut_patches(xarray.Dataset({"one": maps[name]}), 12, 3)
        maps[f"{name}, mean over patches"] = patches_to_map(windows.values.mean(axis=(1, 2, 3)), windows)
    flat = learn.values.reshape(len(learn), -1)
    pca = PCA(min(72, len(flat) - 1), random_state=seed).fit(flat)
    every = scored.values.reshape(len(scored), -1)
    errors = ((every - pca.inverse_transform(pca.transform(every))) ** 2).mean(axis=1)
    maps["principal components of patches, 72"] = patches_to_map(errors, scored)
    return [(name, *row) for name, layer in maps.items() for row in scores(layer, case, "best direction" in name)]


def autoencoders(case, seed, device, size):
    """Both architectures after 20 and 100 epochs: scores of their errors and correlations between them."""
    learn, scored = both(case, size)
    rows, errors = [], {}
    for architecture in "ab":
        for epochs in EPOCHS:
            start, name = time.process_time(), f"{architecture}, {size}, {epochs}"
            model = ConvolutionalAutoencoder(architecture, n_epochs=epochs, **settings(size, seed, device)).fit(learn)
            errors[name] = model.errors(scored)
            rows += [(f"{name}, seconds", "seconds", time.process_time() - start), (name, "loss", model.loss_curve_[-1])]
            rows += [(f"{name}, cover", *row) for row in scores(patches_to_map(errors[name], scored), case)]
            rows += [(f"{name}, cell", *row) for row in scores(cells_to_map(model.cell_errors(scored), scored), case)]
    matrix = pd.DataFrame(errors).corr()
    names = list(matrix)
    return rows + [(f"{one} | {other}", "correlation", matrix.loc[one, other]) for k, one in enumerate(names) for other in names[k + 1:]]


def left_out(case, seed, device):
    """Architecture b, patches of 12: correlations of the errors when each layer is left out."""
    learn, scored = both(case, 12)
    found = leave_one_out(learn, scored, n_epochs=LEFT_OUT_EPOCHS, **settings(12, seed, device))
    names, matrix = list(found.errors), found.matrix
    rows = [(f"{one} | {other}", "correlation", matrix.loc[one, other]) for k, one in enumerate(names) for other in names[k + 1:]]
    return rows + [(name, *row) for name in names for row in scores(patches_to_map(found.errors[name].to_numpy(), scored), case)]


def classifiers(case, seed, device):
    """An ensemble of three autoencoders b, patches of 12; classifiers by label share; and what the classifier knows of the half of the map that it has not
    seen."""
    learn, scored = both(case, 12)
    ensemble = ConvolutionalEnsemble(3, **settings(12, 10 * seed, device)).fit(learn)
    taught, asked = ensemble.errors(learn), ensemble.errors(scored)
    rows = [("ensemble of 3", *row) for row in scores(patches_to_map(asked.mean(axis=0), scored), case)]
    rows.append(("ensemble of 3", "spread over mean", (asked.std(axis=0, ddof=1) / asked.mean(axis=0)).mean()))
    west, east = learn.columns + 12 <= learn.grid.shape[1] // 2, learn.columns >= learn.grid.shape[1] // 2
    for name, shares in SHARES.items():
        labels = label_by_errors(taught.mean(axis=0), *shares)
        known = labels >= 0
        model = PatchClassifier(3, random_state=10 * seed, device=device, progress=False).fit(learn, labels)
        maps = probability_map(model, scored)
        rows += [(name, *row) for row in scores(maps["probability"], case)]
        rows += [(name, "accuracy", model.score(learn.values[known], labels[known])), (name, "loss", np.mean([curve[-1] for curve in model.loss_curves_])),
                 (name, "mean spread", float(maps["spread"].mean()))]
        half = PatchClassifier(1, random_state=10 * seed, device=device, progress=False).fit(learn.part(west), labels[west])
        rows.append((name, "accuracy on the other half", half.score(learn.values[east & known], labels[east & known])))
    return rows


JOBS = {"rivals": rivals} | {f"errors {size}": lambda case, seed, device, size=size: autoencoders(case, seed, device, size) for size in SIZES} | {
    "classifiers": classifiers, "leave one out": left_out}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--job", nargs="+", choices=JOBS)
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--redo", action="store_true")
    parser.add_argument("--device", default="cpu", help="where networks are trained: cpu, cuda or auto (cpu)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for seed in options.seed:
        for name in options.case:
            if name == "wofe" and not (DATA / "extra_wofe_posteriorprobability.tif").exists():
                print(f"wofe left out: no extra_wofe_posteriorprobability.tif in the folder {DATA}; set SCVAE_NB_DATA to the folder that holds it")
                continue
            case = None
            for job in options.job or (["rivals", "errors 12"] if name == "district kriged" else list(JOBS)):
                results = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=COLUMNS)
                same = (results[["case", "seed", "job"]] == [name, seed, job]).all(axis=1)
                if same.any() and not options.redo:
                    continue
                case = case or CASES[name](seed)
                start = time.process_time()
                found = JOBS[job](case, seed, options.device)
                rows = pd.DataFrame([dict(zip(COLUMNS, (name, seed, job, *row), strict=False)) for row in found], columns=COLUMNS)
                pd.concat([part for part in (results[~same], rows) if len(part)]).round(4).to_csv(RESULTS, index=False)
                print(f"{name}, seed {seed}, {job}: {len(rows)} rows, {time.process_time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
