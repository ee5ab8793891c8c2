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
        super().__init__(signature, [toolbox().find(name) for name in tools], max_iters)
        finish = self.tools["finish"]
        self.tools["finish"] = Tool(func=finish.func, name=finish.name, desc=finish.desc, args={})

    @property
    def answering(self) -> dspy.Module:
        """The part of it that makes the outputs."""
        return self.extract

    @property
    def is_stale(self) -> bool:
        """Whether a server has changed or removed one of its tools since the module was built."""
        return any(not is_current(tool) for name, tool in self.tools.items() if name != "finish")


def is_current(tool: Tool) -> bool:
    """Whether a tool's server still lists it unchanged."""
    try:
        return toolbox().find(tool.name) is tool
    except Exception:
        return False
