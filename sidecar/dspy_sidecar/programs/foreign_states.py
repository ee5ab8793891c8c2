"""Refuses the state of another program when it is imported: its fields or its tools differ.

DSPy loads such a state, and the model is then told of fields or tools that the program lacks.
"""

import re

import dspy
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import BuildFailedError
from dspy_sidecar.programs.programs import build
from dspy_sidecar.programs.states import State, matched

FIELD = re.compile(r"\$\{(\w+)\}")
"""The description that DSPy gives a field that has none: it names the field."""
TOOL = re.compile(
    r"^\(\d+\) (\S+?)(?:, whose description is <desc>|\. It takes arguments)", re.MULTILINE
)
"""A tool in the instructions that ReAct writes; an optimizer may have written others."""


def refuse_foreign(program: pb.Program) -> None:
    """Refuses a program whose state was saved of another one.

    Raises:
        BuildFailedError: The state is another program's. The message says what differs, and where.

    """
    own = pb.Program()
    own.CopyFrom(program)
    own.compiled_state = ""
    built = build(own)
    name = built.steps[0].name if len(built.steps) == 1 else ""
    for path, predictor, state in matched(built.module, program.compiled_state, name):
        shown = name if path == "self" else path
        compare_fields(shown, predictor, state)
        compare_tools(shown, predictor, state)


def compare_fields(path: str, predictor: dspy.Predict, state: State) -> None:
    """Refuses fields of other names, or in another order.

    Optimizers change the prefix of the last output alone, and keep all descriptions.
    """
    names = list(predictor.signature.fields)
    own = predictor.signature.dump_state()["fields"]
    prefixes = [field["prefix"] for field in own]
    for index, field in enumerate(state["signature"]["fields"]):
        place = f"{path}.signature.fields[{index}]"
        named = FIELD.fullmatch(field["description"])
        if named and named[1] != names[index]:
            raise BuildFailedError(f"{place} is the field {named[1]}; expected {names[index]}")
        prefix, others = prefixes[index], [*prefixes[:index], *prefixes[index + 1 :]]
        is_last = index == len(names) - 1
        # Earlier versions of DSPy wrote a longer prefix of the reasoning.
        if not field["prefix"].startswith(prefix) and (not is_last or field["prefix"] in others):
            raise BuildFailedError(
                f"{place} has the prefix {field['prefix'][:100]!r}; "
                f"expected {prefix!r} of the field {names[index]}"
            )


def compare_tools(path: str, predictor: dspy.Predict, state: State) -> None:
    """Refuses ReAct's instructions if they list other tools."""
    if "next_tool_name" not in predictor.signature.output_fields:
        return
    listed = TOOL.findall(state["signature"]["instructions"])
    own = TOOL.findall(predictor.signature.instructions)
    if listed and set(listed) != set(own):
        raise BuildFailedError(
            f"{path}.signature.instructions lists the tools {', '.join(listed)[:500]}; expected "
            f'{", ".join(own)}. A module names a tool as a notebook does by "server.tool as name"'
        )
