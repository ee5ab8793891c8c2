"""DSPy's ReAct with the tools of the operator's MCP servers."""

from collections.abc import Iterable

import dspy

from dspy_sidecar.programs.reading import reads_as
from dspy_sidecar.tools.tools import Tool, toolbox


@reads_as(dspy.ReAct)
class ReAct(dspy.ReAct):  # type: ignore[misc]
    """DSPy's, with tools by their names."""

    def __init__(
        self, signature: type[dspy.Signature], tools: Iterable[str], max_iters: int
    ) -> None:
        found = {asked: toolbox().find(asked) for asked in tools}
        super().__init__(signature, list(found.values()), max_iters)
        self._asked = {tool.name: asked for asked, tool in found.items()}
        finish = self.tools["finish"]
        self.tools["finish"] = Tool(func=finish.func, name=finish.name, desc=finish.desc, args={})

    @property
    def answering(self) -> dspy.Module:
        """The part of it that makes the outputs."""
        return self.extract

    @property
    def is_stale(self) -> bool:
        """Whether a server has changed or removed one of its tools since the module was built."""
        return any(not is_current(asked, self.tools[name]) for name, asked in self._asked.items())


def is_current(asked: str, tool: Tool) -> bool:
    """Whether a tool's server still lists it unchanged."""
    try:
        return toolbox().find(asked) is tool
    except Exception:
        return False
