"""Prompts with a mark of the messages that are the same in every run."""

from typing import Any

Message = dict[str, Any]


class ConstantPart:
    """The messages before a run's own: the system message and the demos.

    Holds one value that an owner has derived from them, such as an engine's canonical request.
    """

    def __init__(self, demos: tuple[Message, ...]) -> None:
        self.demos = demos
        self._derived: tuple[object, Any] | None = None

    @property
    def length(self) -> int:
        """The number of messages, with the system message."""
        return 1 + len(self.demos)

    def is_prefix_of(self, messages: list[Message]) -> bool:
        """Whether `messages` begin with these messages and have at least one more."""
        return len(messages) > self.length and (
            not self.demos or messages[len(self.demos)] is self.demos[-1]
        )

    def cached_for(self, owner: object) -> Any:
        """The cached value of an owner; None if another owner has replaced it."""
        return self._derived[1] if self._derived and self._derived[0] is owner else None

    def cache_for(self, owner: object, value: Any) -> None:
        """Caches a value of an owner, in place of the last one."""
        self._derived = (owner, value)


class Prompt(list[Message]):
    """An adapter's messages; `constant` is the part that is the same in every run, if known."""

    def __init__(self, messages: list[Message], constant: ConstantPart | None) -> None:
        super().__init__(messages)
        self.constant = constant
