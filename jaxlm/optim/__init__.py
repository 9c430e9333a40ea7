"""Optimizers and schedules, as Optax chains that know parameters by their axis names."""

from jaxlm.optim.adamw import AdamW
from jaxlm.optim.base import Optimizer
from jaxlm.optim.muon import Muon
from jaxlm.optim.schedules import WSD, Constant, Cosine, Linear, RSqrt, Schedule

__all__ = ["WSD", "AdamW", "Constant", "Cosine", "Linear", "Muon", "Optimizer", "RSqrt", "Schedule"]

OPTIMIZERS = (AdamW, Muon)
"""Those that the shared tests run over."""
