"""Modules as Python source, with the imports, classes and functions that they need."""

from typing import Any

import orjson
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.annotations import is_text
from dspy_sidecar.programs.rewards import reward_of
from dspy_sidecar.programs.source.literals import arguments, literal
from dspy_sidecar.programs.source.lms import merged, setting_text
from dspy_sidecar.programs.source.rewards import fits_text, grade_text, judge_text
from dspy_sidecar.programs.source.signatures import class_text, reference
from dspy_sidecar.tools.tools import toolbox

COMPARISON = """\
class Comparison(dspy.Module):
    def __init__(self, module, compare):
        super().__init__()
        self.module = module
        self.compare = compare

    def forward(self, **inputs):
        completions = []
        for number in range(self.compare.M):
            config = {**self.compare.predict.config, "rollout_id": number}
            with dspy.context(lm=dspy.settings.lm.copy(**config)):
                completions.append(dict(self.module(**inputs).items()))
        return self.compare(completions=completions, **inputs)"""
TOOL = """\
def tool(name, desc, args):
    return dspy.Tool(lambda **given: FUNCTIONS[name](**given), name=name, desc=desc, args=args)"""
FUNCTIONS = """\
# What the tools do here: a function of your own under each tool's name.
FUNCTIONS = {}"""


class ModuleSource:
    """Writes modules, and keeps what they need above the program."""

    def __init__(self) -> None:
        self._imports = {"import dspy"}
        self.definitions: dict[str, str] = {}
        """Classes, functions and constants by their names, in the order of their first use."""

    def imports(self) -> str:
        """The imports: Python's own before those of packages."""
        own = {line for line in self._imports if line.startswith(("import re", "from typing"))}
        parts = [sorted(own), sorted(self._imports - own)]
        return "\n\n".join("\n".join(part) for part in parts if part)

    def expression(self, module: pb.Module) -> str:
        """A module as the expression that makes it."""
        signature, params = self._reference(module.signature), params_of(module)
        match module.type:
            case "BestOfN" | "Refine":
                own = {
                    key: params[key] for key in ("N", "threshold", "fail_count") if key in params
                }
                wrapped, reward = self.expression(module.modules[0]), self._reward(module)
                return f"dspy.{module.type}({wrapped}, reward_fn={reward}, {arguments(**own)})"
            case "MultiChainComparison":
                self._add("Comparison", COMPARISON)
                wrapped = self.expression(module.modules[0])
                compare = f"dspy.MultiChainComparison({signature}, {arguments(**params)})"
                return f"Comparison({wrapped}, {compare})"
            case "ReAct":
                tools = ", ".join(self._tool(name) for name in module.tools)
                return f"dspy.ReAct({signature}, [{tools}], {arguments(**params)})"
            case "CodeAct":
                return f"dspy.CodeAct({signature}, [], {arguments(**params)})"
            case _:
                sub_lm = pb.LmSettings()
                sub_lm.CopyFrom(merged(module.lm, module.lms["sub_lm"]) if module.lms else sub_lm)
                sub_lm.adapter = ""
                other = f"sub_{setting}" if (setting := setting_text(sub_lm)) else ""
                told = ", ".join(filter(None, [signature, arguments(**params), other]))
                return f"dspy.{module.type}({told})"

    def reward_code(self, module: pb.Module) -> str:
        """What Refine tells the model of its reward in place of the function's source."""
        return literal(reward_of(module.signature, params_of(module)).told)

    def _reference(self, signature: pb.Signature) -> str:
        if not is_text(signature):
            self._add(signature.name, class_text(signature))
        return reference(signature)

    def _reward(self, module: pb.Module) -> str:
        name, params = reward_name(module), params_of(module)
        if params["reward_fn"] == "judge":
            self._imports.add("import orjson")
            self._add("Grade", grade_text())
            text = judge_text(name, module.signature, params["rubric"])
        else:
            self._imports |= {"import re", "import pydantic"}
            text = fits_text(name, module.signature)
        self._add(name, text)
        return name

    def _tool(self, name: str) -> str:
        tool = toolbox().find(name)
        self._add("FUNCTIONS", FUNCTIONS)
        self._add("tool", TOOL)
        return f"tool({literal(tool.name)}, {literal(tool.desc)}, {literal(tool.args)})"

    def _add(self, name: str, text: str) -> None:
        self.definitions.setdefault(name, text)
        if "Literal[" in text:
            self._imports.add("from typing import Literal")
        if "Annotated[" in text:
            self._imports.add("from typing import Annotated")


def reward_name(module: pb.Module) -> str:
    """The function that is the reward of a BestOfN or Refine."""
    return f"{module.name}_reward"


def params_of(module: pb.Module) -> dict[str, Any]:
    """A module's parameters."""
    return orjson.loads(module.params) if module.params else {}
