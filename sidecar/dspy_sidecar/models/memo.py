"""Caches of the parts that are the same in every prompt: system message, reminder, demos, schema.

The reminder is the list of output fields at the end of the last message.
"""

from dataclasses import dataclass, field
from itertools import starmap
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

import dspy

from dspy_sidecar.models.http.prompt import ConstantPart, Message, Prompt
from dspy_sidecar.models.lm import known_capabilities

Signature = type[dspy.Signature]
Demos = list[Any]


@dataclass
class Memo:
    """Cached prompt parts of one signature. No part comes from a run's inputs."""

    instructions: str
    system: str | None = None
    reminder: str | None = None
    demos: tuple[list[tuple[Any, ...]], ConstantPart] | None = None
    """The demos of the last prompt, and their messages.

    One attribute for both: threads of an optimizer share a signature, but not its demos.
    """
    formats: dict[tuple[bool, bool], dict[str, Any]] = field(default_factory=dict)
    """Response formats by (takes response_format, takes a JSON schema)."""


class CachesPrompts:
    """Mixin before an adapter of DSPy's: caches prompt parts as long as the signature lives."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._memos: WeakKeyDictionary[Signature, Memo] = WeakKeyDictionary()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Does not call DSPy's, which would report to callbacks once more for each subclass."""

    def format(self, signature: Signature, demos: Demos, inputs: dict[str, Any]) -> Prompt:
        """The messages of the adapter itself, with a note of how many of them never change."""
        messages = super().format(signature, demos, inputs)  # type: ignore[misc]
        memo = self._memo(signature)
        _, constant = memo.demos or (None, None)
        is_cached = (
            constant and messages[0]["content"] is memo.system and constant.is_prefix_of(messages)
        )
        return Prompt(messages, constant if is_cached else None)

    def format_system_message(self, signature: Signature) -> str:
        """The adapter's own system message, from the cache."""
        memo = self._memo(signature)
        if memo.system is None:
            memo.system = super().format_system_message(signature)  # type: ignore[misc]
        return memo.system

    def user_message_output_requirements(self, signature: Signature) -> str:
        """The adapter's own reminder of the output fields, from the cache."""
        memo = self._memo(signature)
        if memo.reminder is None:
            memo.reminder = super().user_message_output_requirements(signature)  # type: ignore[misc]
        return memo.reminder

    def format_demos(self, signature: Signature, demos: Demos) -> list[Message]:
        """The adapter's own messages of demos, from the cache if the demos are the same objects."""
        memo = self._memo(signature)
        parts = [parts_of(demo) for demo in demos]
        cached = memo.demos
        if cached is None or not are_same(parts, cached[0]):
            cached = (parts, ConstantPart(tuple(super().format_demos(signature, demos))))  # type: ignore[misc]
            memo.demos = cached
        return list(cached[1].demos)

    async def acall(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """Requests and parses an answer, without a look-up of the model's capabilities."""
        with known_capabilities(lm, lm_kwargs):
            return await super().acall(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]

    def __call__(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """Requests and parses an answer, without a look-up of the model's capabilities."""
        with known_capabilities(lm, lm_kwargs):
            return super().__call__(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]

    def _memo(self, signature: Signature) -> Memo:
        memo = self._memos.get(signature)
        # Optimizers change a signature's instructions in place, and nothing else of a signature.
        if memo is None or memo.instructions is not signature.instructions:
            memo = self._memos[signature] = Memo(signature.instructions)
        return memo


class CachesResponseFormat(CachesPrompts):
    """Mixin before DSPy's JSONAdapter: caches the pydantic model that DSPy builds in every run."""

    def _prepare_response_format(
        self, lm: Any, lm_kwargs: dict[str, Any], signature: Signature
    ) -> None:
        memo = self._memo(signature)
        supports = ("response_format" in lm.supported_params, lm.supports_response_schema)
        if supports not in memo.formats:
            prepared: dict[str, Any] = {}
            super()._prepare_response_format(lm, prepared, signature)  # type: ignore[misc]
            memo.formats[supports] = prepared
        lm_kwargs.update(memo.formats[supports])


def parts_of(demo: Any) -> tuple[Any, ...]:
    """A demo, its keys and its values."""
    return (demo, *demo.keys(), *demo.values())


def are_same(some: list[tuple[Any, ...]], others: list[tuple[Any, ...]]) -> bool:
    """Whether demos consist of the same objects; equality is not enough, because `1 == True`."""
    return len(some) == len(others) and all(
        len(one) == len(other) and all(starmap(is_, zip(one, other, strict=True)))
        for one, other in zip(some, others, strict=True)
    )
