"""What the benchmark runs: a list of cells, each one method on one simulated survey.

A cell is named by its experiment, its method, the keywords of the survey, the options of the method, and a seed, which is the seed of
both. Cells of different experiments that are the same work run once. Nothing here is computed: the page
`nbs/evaluation/60_versus.ipynb` reads the same plan to see whether the results are complete.
"""
from dataclasses import dataclass, field

OURS = "scvae_nb"
# in the order of tables and pictures; labels as a reader would say them
LABELS = {
    "oracle": "oracle cokriging", OURS: "scvae_nb", "lmc_gp": "LMC Gaussian process (GPyTorch)", "cokriging": "cokriging, fitted LMC",
    "maf_kriging": "min/max autocorrelation factors + kriging", "kriging": "kriging filter per element (GSTools)",
    "graph": "SC-VAE, graph penalty", "vae": "plain VAE", "factor_analysis": "factor analysis", "pca": "principal components",
    "moving_mean": "moving mean", "raw": "raw values",
}
BASELINES = [name for name in LABELS if name not in ("oracle", OURS)]
MAIN = {"n_samples": 2000, "n_elements": 12, "noise": 1.0, "mixing": "linear"}
NUGGET_SHARES = (0.25, 0.5, 0.75)

# Seconds of one core, scores included: (for any survey, per 1,000 sites). Only for planning.
COST = {
    "oracle": (2, 4), OURS: (25, 12), "lmc_gp": (5, 50), "cokriging": (1, 27), "maf_kriging": (1, 6.5), "kriging": (1, 6), "graph": (6, 3),
    "vae": (5, 3), "factor_analysis": (1, 0.3), "pca": (0.5, 0.1), "moving_mean": (0.5, 0.1), "raw": (0.5, 0.1),
}
# slow: run on the first seed only in the table of nugget shares
ONE_SEED = ("lmc_gp", "cokriging")
# methods that need minutes for every 5,000 sites, and the surveys in the table of nugget shares that they are run on
SLOWEST = {"lmc_gp": {5000: (0.5,), 20_000: ()}, "cokriging": {20_000: (0.5,)}}
EPOCHS = 100  # of the multitask Gaussian process, unless an option says otherwise


@dataclass(frozen=True)
class Cell:
    """One method on one survey. `options` go to the method, `survey` to `simulate_survey`; a cell with a `reason` is not run."""

    experiment: str
    method: str
    seed: int
    survey: dict = field(hash=False)
    options: dict = field(default_factory=dict, hash=False)
    reason: str = ""

    @property
    def work(self):
        """Name of the work, the same for cells of other experiments that do the same."""
        return f"{self.method}({_words(self.options)}) on {self.survey_name}"

    @property
    def survey_name(self):
        """Name of the survey, its seed included."""
        return f"survey({_words(self.survey)}) seed {self.seed}"

    @property
    def seconds(self):
        """Estimated seconds of one core, the start of the process included."""
        fixed, per_thousand = COST[self.method]
        scale = self.options.get("n_epochs", EPOCHS) / EPOCHS
        return 0 if self.reason else fixed + scale * per_thousand * self.survey["n_samples"] / 1000


def _words(settings):
    return ", ".join(f"{name}={settings[name]}" for name in sorted(settings))


def _cells(experiment, methods, seeds, options=None, reason="", **survey):
    """Cells of every method and seed on one kind of survey."""
    return [Cell(experiment, method, seed, MAIN | survey, options or {}, reason) for method in methods for seed in seeds]


def main():
    """2,000 sites, noise as strong as the signal: every method."""
    for mixing in ("linear", "nonlinear"):
        yield from _cells("main", LABELS, range(5), mixing=mixing)


def small():
    """150 sites, as many as meuse has: every method."""
    for mixing in ("linear", "nonlinear"):
        yield from _cells("small", LABELS, range(5), mixing=mixing, n_samples=150)


def nugget():
    """Share of the nugget (all of it measurement error) by number of samples in the same square: every method."""
    for n in (200, 1000, 5000, 20_000):
        for share in NUGGET_SHARES:
            noise = round((share / (1 - share)) ** 0.5, 4)
            for mixing in ("linear", "nonlinear") if n <= 1000 else ("linear",):
                for method in LABELS:
                    seeds = range(2 if n <= 1000 and method not in ONE_SEED else 1)
                    shares = SLOWEST.get(method, {}).get(n, NUGGET_SHARES)
                    reason = "" if share in shares else _too_slow(method, n, shares)
                    if method in ("vae", "graph"):
                        reason = "a code made from one sample has nothing from denser sites; far behind at 150 and at 2,000"
                    yield from _cells("nugget", [method], seeds, None, reason, mixing=mixing, n_samples=n, noise=noise)


def _too_slow(method, n, shares):
    """Why a method is left out, in words."""
    fixed, per_thousand = COST[method]
    words = f"about {(fixed + per_thousand * n / 1000) / 60:.0f} minutes of one core for one survey of {n:,} sites"
    return words + (f"; run with a nugget share of {shares[0]} only" if shares else "")


def dense():
    """10,000 sites in the same square: the denser the sites, the more neighbours the limit averages over."""
    yield from _cells("dense", ["oracle", OURS, "maf_kriging", "kriging"], range(3), n_samples=10_000)
    yield from _cells("dense", ["lmc_gp", "cokriging"], [0], n_samples=10_000)


def outliers():
    """5 % of the cells moved by 6 standard deviations; compare with the same seeds of `main`."""
    yield from _cells("outliers", ["oracle", OURS, "kriging", "factor_analysis"], range(5), contamination=0.05)
    yield from _cells("outliers", ["lmc_gp"], [0], contamination=0.05)


def censored():
    """30 % of the samples below detection in half of the elements; compare with the same seeds of `main`."""
    yield from _cells("censored", ["oracle", OURS, "kriging", "factor_analysis"], range(3), censored=0.3)
    yield from _cells("censored", ["lmc_gp"], [0], censored=0.3)


def latents():
    """Once, twice (the default for 12 elements) and four times the true number of latents."""
    for options in ({"n_spatial": 3}, {}, {"n_spatial": 12}):
        yield from _cells("latents", [OURS], range(3), options)


def nonlinearity():
    """From linear to nonlinear mixing in steps."""
    for mixing in ("linear", 0.25, 0.5, 0.75, "nonlinear"):
        yield from _cells("nonlinearity", ["oracle", OURS, "kriging", "maf_kriging"], range(2), mixing=mixing)


def budget():
    """How long the multitask Gaussian process needs to come within 10 % of our error."""
    yield from _cells("budget", ["oracle", OURS], [0])
    for epochs in (10, 25, 50, 75, EPOCHS, 200):
        yield from _cells("budget", ["lmc_gp"], [0], {} if epochs == EPOCHS else {"n_epochs": epochs})


EXPERIMENTS = {function.__name__: function for function in (main, small, nugget, dense, outliers, censored, latents, nonlinearity, budget)}


def plan():
    """All cells: surveys of up to 2,000 samples experiment by experiment, then the larger ones; cheap methods first in each."""
    cells = [cell for experiment in EXPERIMENTS.values() for cell in experiment()]
    order = list(EXPERIMENTS)
    return sorted(cells, key=lambda cell: (cell.survey["n_samples"] > 2000, cell.seconds > 60, order.index(cell.experiment)))
