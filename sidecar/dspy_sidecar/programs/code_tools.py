"""The tools of MCP servers as functions that code of a model calls."""

import inspect
import keyword
import re
from typing import Any

import dspy

from dspy_sidecar.tools.tools import Tool


def python_name(name: str) -> str:
    """The name of a tool or an argument in code: weather.forecast is weather_forecast.

    The gateway makes the same names, and refuses those that collide.
    """
    made = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return made if made.isidentifier() and not keyword.iskeyword(made) else f"_{made}"


class CodeTool(dspy.Tool):  # type: ignore[misc]
    """A tool under names that Python takes, with the signature that the code sees.

    The code may leave out an optional argument: the server's default holds.
    """

    def __init__(self, tool: Tool) -> None:
        arguments: dict[str, str] = {}
        for name in tool.args or {}:
            made = python_name(name)
            while made in arguments:
                made = f"{made}_"
            arguments[made] = name

        def call(**given: Any) -> Any:
            return tool(
                **{
                    arguments[made]: value
                    for made, value in given.items()
                    if value is not None or arguments[made] in tool.required
                }
            )

        parameters = [
            inspect.Parameter(
                made,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=inspect.Parameter.empty if name in tool.required else None,
            )
            for made, name in arguments.items()
        ]
        # Python takes parameters with a default last.
        parameters.sort(key=lambda parameter: parameter.default is None)
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        super().__init__(
            func=call,
            name=python_name(tool.name),
            desc=tool.desc,
            args={made: tool.args[name] for made, name in arguments.items()},
        )

    def __call__(self, **given: Any) -> Any:
        """Calls the tool, which checks its arguments itself, by their own names."""
        return self.func(**given)
