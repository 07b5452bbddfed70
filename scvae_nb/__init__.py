"""Denoise multi-element geochemical surveys with a spatially constrained variational autoencoder.

The public names are loaded when they are first used, so that `import scvae_nb` is quick and does not load torch.
"""
from importlib import import_module

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


def __getattr__(name):
    if name not in _homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_homes[name]}"), name)
    globals()[name] = value  # the next access does not come through here
    return value


def __dir__():
    return sorted({*globals(), *__all__})
