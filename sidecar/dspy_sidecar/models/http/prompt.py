"""A prompt that knows which of its messages are always the same."""

from typing import Any

Message = dict[str, Any]


class Constant:
    """The messages before a run's own: the system message and the demos."""

    def __init__(self, demos: tuple[Message, ...]) -> None:
        self.demos = demos
        self._made: tuple[object, Any] | None = None

    @property
    def length(self) -> int:
        """With the system message."""
        return 1 + len(self.demos)

    def begins(self, messages: list[Message]) -> bool:
        """Whether messages are these and at least one more."""
        return len(messages) > self.length and (
            not self.demos or messages[len(self.demos)] is self.demos[-1]
        )

    def made_by(self, owner: object) -> Any:
        """What an owner made of these messages, where it was the last to do so; else None."""
        return self._made[1] if self._made and self._made[0] is owner else None

    def remember(self, owner: object, made: Any) -> None:
        """Keeps what an owner made of these messages."""
        self._made = (owner, made)


class Prompt(list[Message]):
    """Messages as an adapter of DSPy's writes them."""

    def __init__(self, messages: list[Message], constant: Constant | None) -> None:
        super().__init__(messages)
        self.constant = constant
