"""What must hold for any model and any objective, ours or a recipe's own, as checks that give a number."""

from jaxlm.laws.subject import Subject, Verdict
from jaxlm.laws.table import LAWS, judge, verdicts

__all__ = ["LAWS", "Subject", "Verdict", "judge", "verdicts"]
