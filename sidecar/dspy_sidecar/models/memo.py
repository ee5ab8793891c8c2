"""What DSPy's adapters say again at each run, kept: the system message, the reminder of the format, and the demos."""

from dataclasses import dataclass, field
from itertools import starmap
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

import dspy

from dspy_sidecar.models.cached_lm import planned
from dspy_sidecar.models.http.prompt import Constant, Message, Prompt

Signature = type[dspy.Signature]
Demos = list[Any]


@dataclass
class Memo:
    """Of one signature. Nothing in it comes from a run's inputs."""

    instructions: str
    system: str | None = None
    reminder: str | None = None
    demos: tuple[list[tuple[Any, ...]], Constant] | None = None
    """Those seen last, and their messages: in one, since optimizers' threads share a signature and not its demos."""
    formats: dict[tuple[bool, bool], dict[str, Any]] = field(default_factory=dict)


class Memoized:
    """Goes before an adapter of DSPy's. A memo goes when its signature does, and holds the demos seen last."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._memos: WeakKeyDictionary[Signature, Memo] = WeakKeyDictionary()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Does not call DSPy's, which would report to callbacks once more for each subclass."""

    def format(self, signature: Signature, demos: Demos, inputs: dict[str, Any]) -> Prompt:
        """As the adapter's own, and says which messages at its beginning are always the same."""
        messages = super().format(signature, demos, inputs)  # type: ignore[misc]
        memo = self._memo(signature)
        _, constant = memo.demos or (None, None)
        is_ours = constant and messages[0]["content"] is memo.system and constant.begins(messages)
        return Prompt(messages, constant if is_ours else None)

    def format_system_message(self, signature: Signature) -> str:
        """As the adapter's own."""
        memo = self._memo(signature)
        if memo.system is None:
            memo.system = super().format_system_message(signature)  # type: ignore[misc]
        return memo.system

    def user_message_output_requirements(self, signature: Signature) -> str:
        """As the adapter's own."""
        memo = self._memo(signature)
        if memo.reminder is None:
            memo.reminder = super().user_message_output_requirements(signature)  # type: ignore[misc]
        return memo.reminder

    def format_demos(self, signature: Signature, demos: Demos) -> list[Message]:
        """As the adapter's own."""
        memo = self._memo(signature)
        contents = [contents_of(demo) for demo in demos]
        known = memo.demos
        if known is None or not same(contents, known[0]):
            known = (contents, Constant(tuple(super().format_demos(signature, demos))))  # type: ignore[misc]
            memo.demos = known
        return list(known[1].demos)

    async def acall(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """As the adapter's own."""
        with planned(lm, lm_kwargs):
            return await super().acall(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]

    def __call__(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """As the adapter's own."""
        with planned(lm, lm_kwargs):
            return super().__call__(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]

    def _memo(self, signature: Signature) -> Memo:
        memo = self._memos.get(signature)
        # The one part of a signature that optimizers change in place.
        if memo is None or memo.instructions is not signature.instructions:
            memo = self._memos[signature] = Memo(signature.instructions)
        return memo


class MemoizedFormat(Memoized):
    """Goes before DSPy's JSONAdapter, which makes a pydantic model of the outputs at each run."""

    def _prepare_response_format(
        self, lm: Any, lm_kwargs: dict[str, Any], signature: Signature
    ) -> None:
        """As the adapter's own."""
        memo = self._memo(signature)
        able = ("response_format" in lm.supported_params, lm.supports_response_schema)
        if able not in memo.formats:
            prepared: dict[str, Any] = {}
            super()._prepare_response_format(lm, prepared, signature)  # type: ignore[misc]
            memo.formats[able] = prepared
        lm_kwargs.update(memo.formats[able])


def contents_of(demo: Any) -> tuple[Any, ...]:
    """A demo and all that it holds."""
    return (demo, *demo.keys(), *demo.values())


def same(some: list[tuple[Any, ...]], others: list[tuple[Any, ...]]) -> bool:
    """Whether demos are the very same objects: `1 == True`, but they are written differently."""
    return len(some) == len(others) and all(
        len(one) == len(other) and all(starmap(is_, zip(one, other, strict=True)))
        for one, other in zip(some, others, strict=True)
    )
