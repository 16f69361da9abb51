"""The search for a clipping threshold: strategies x thresholds over folds or seeds; used by all subsystems.

    found = tune(objective, ClipSpace(), folds=[0, 1, 2], path=Path("runs/tuning"), trials=20)

space (what is searched), search (the loop), study (the database that a killed search goes on from), pool (where the
trainings run), attempts (what was found). throttle/report/thresholds shows it.
"""

from throttle.tuning.attempts import Attempt, Search
from throttle.tuning.search import Objective, read, tune
from throttle.tuning.space import RANGES, ClipSpace, Range

__all__ = ["RANGES", "Attempt", "ClipSpace", "Objective", "Range", "Search", "read", "tune"]
