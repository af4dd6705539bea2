"""AEVB reaches a higher lower bound than wake-sleep, and superfluous latents do not overfit.

Kingma & Welling (2014), Figure 2. Equations: `dgm.learning.aevb`, `dgm.learning.wake_sleep`;
densities: `dgm.models.vae`; the choice of step and checkpoint: `dgm.protocols.fit_vae`.
"""

from dgm.experiments.aevb_lower_bound.settings import Settings
from dgm.learning.aevb import active_latents
from dgm.protocols.fit_vae import bounds, fit, images
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train, recording the figure's curves on the way, and count the active latents."""
    train, evaluated = images(settings, trial)
    model = fit(settings, trial, train, evaluated)
    bounds(settings, trial, model, evaluated)
    trial.record("latents", active=active_latents(model, evaluated["test"]))
    return Artifacts(trial.tables(), models={"vae": model})
