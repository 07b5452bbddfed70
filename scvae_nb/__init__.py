"""Denoise multi-element geochemical surveys with a spatially constrained variational autoencoder.

The public names are loaded when they are first used, so that `import scvae_nb` is quick and does not load torch.
"""
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_homes = {
    "Survey": "survey.table",
    "SurveyError": "survey.errors",
    "load_example": "geostatistics.examples",
    "simulate_survey": "geostatistics.simulation",
    "simulate_gold_district": "geostatistics.gold_district",
    "SCVAE": "model.denoiser",
    "DenoisedSurvey": "model.results",
    "evaluate": "evaluation.scores",
    "tune": "evaluation.tuning",
    "plot_map": "reporting.plots",
    "plot_variogram": "reporting.plots",
    "plot_distribution": "reporting.plots",
    "plot_uncertainty": "reporting.plots",
    "plot_calibration": "reporting.calibration_plots",
    "plot_closure": "reporting.plots",
    "plot_training": "reporting.plots",
    "plot_tuning": "reporting.tuning_plots",
    "write_report": "reporting.report",
}
__all__ = list(_homes)

if TYPE_CHECKING:  # the same for editors and type checkers, which run nothing; tools/check_imports.py compares the two
    from .evaluation.scores import evaluate as evaluate
    from .evaluation.tuning import tune as tune
    from .geostatistics.examples import load_example as load_example
    from .geostatistics.gold_district import simulate_gold_district as simulate_gold_district
    from .geostatistics.simulation import simulate_survey as simulate_survey
    from .model.denoiser import SCVAE as SCVAE
    from .model.results import DenoisedSurvey as DenoisedSurvey
    from .reporting.calibration_plots import plot_calibration as plot_calibration
    from .reporting.plots import plot_closure as plot_closure
    from .reporting.plots import plot_distribution as plot_distribution
    from .reporting.plots import plot_map as plot_map
    from .reporting.plots import plot_training as plot_training
    from .reporting.plots import plot_uncertainty as plot_uncertainty
    from .reporting.plots import plot_variogram as plot_variogram
    from .reporting.report import write_report as write_report
    from .reporting.tuning_plots import plot_tuning as plot_tuning
    from .survey.errors import SurveyError as SurveyError
    from .survey.table import Survey as Survey


def _load(name):
    if name not in _homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_homes[name]}"), name)
    globals()[name] = value  # the next access does not come through here
    return value


if not TYPE_CHECKING:  # to a type checker it would say that every name is there
    __getattr__ = _load


def __dir__():
    return sorted({*globals(), *__all__})
