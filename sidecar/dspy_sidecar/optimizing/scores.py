"""A program's scores on held-out examples, and the faults of the runs that failed."""

from collections import Counter
from dataclasses import dataclass

from dspy.utils.exceptions import AdapterParseError

from dspy_sidecar.faults import OutputUnreadableError
from dspy_sidecar.optimizing.budget import BudgetSpentError


@dataclass(frozen=True)
class Scores:
    """A program's scores on the valset."""

    mean: float
    """From 0 to 1; a failed example counts 0."""
    faults: list[Exception]
    examples: int

    @property
    def is_whole(self) -> bool:
        """Whether the budget had room for every example."""
        return not any(caused(fault, BudgetSpentError) for fault in self.faults)

    @property
    def common_fault(self) -> Exception | None:
        """If every example failed, the last fault of the most frequent kind; else None."""
        if len(self.faults) < self.examples:
            return None
        told = [
            OutputUnreadableError() if caused(fault, AdapterParseError) else fault
            for fault in self.faults
        ]
        ((kind, _),) = Counter(map(type, told)).most_common(1)
        return next(fault for fault in reversed(told) if type(fault) is kind)


def caused(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The first exception of a kind in the chain of causes of an error; None without one."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error
