"""A whole program as Python source."""

import re
from dataclasses import dataclass
from keyword import iskeyword

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.programs import CODE_MODULES
from dspy_sidecar.programs.source.literals import literal, member
from dspy_sidecar.programs.source.lms import merged, setting_text
from dspy_sidecar.programs.source.modules import ModuleSource, reward_name

# Names of the file's own, which no class of a caller's may take.
TAKEN = {
    *("dspy", "orjson", "pydantic", "re", "Literal", "Annotated", "Comparison", "Grade"),
    *("FUNCTIONS", "tool", "program", "int", "str", "float", "bool", "list", "dict", "super"),
    *("range", "sum", "len", "min", "max"),
    # DSPy's name of every signature of a text.
    "StringSignature",
}
CODE_TYPES = {kind.__name__ for kind in CODE_MODULES}
SETTINGS = "# The program's own settings, over those of the model that was configured before."


@dataclass(frozen=True)
class Source:
    """The file, and where its classes are in it."""

    text: str
    name: str
    """The class of the program; empty if the program is a module of DSPy's itself."""
    lines: dict[str, int]
    """The line of each class: the program's, signatures, and those that modules need."""


def is_bare(program: pb.Program) -> bool:
    """Whether a program is one module of DSPy's, with its own inputs: a notebook has no class."""
    if len(program.modules) != 1:
        return False
    (module,) = program.modules
    return {field.name for field in program.signature.inputs} == {
        wire.field for wire in module.wires
    } and all(wire.input == wire.field and not wire.module for wire in module.wires)


def distinct(program: pb.Program, handle: str) -> pb.Program:
    """The same program, in which each signature's name is of that signature alone.

    Another signature, a reward, the program's class or the file itself may have the name; and
    Python changes names with two underscores inside a class.
    """
    named = pb.Program()
    named.CopyFrom(program)
    rewards = {reward_name(module) for module in program.modules}
    taken = {name: b"" for name in {*TAKEN, "self", class_name(handle), *rewards}}

    def rename(modules: list[pb.Module]) -> None:
        for module in modules:
            signature = module.signature
            content, count = signature.SerializeToString(deterministic=True), 2
            if signature.name == "_" or signature.name.startswith("__"):
                signature.name = f"Signature{signature.name}"
            base = signature.name
            while taken.setdefault(signature.name, content) != content:
                signature.name, count = f"{base}_{count}", count + 1
            rename(list(module.modules))

    rename(list(named.modules))
    return named


def class_name(handle: str) -> str:
    """The class of a program: "review-sentiment" -> "ReviewSentiment"."""
    name = "".join(word.capitalize() for word in handle.split("-"))
    return f"{name}Program" if name in TAKEN or iskeyword(name) or not name else name


def source_of(program: pb.Program, handle: str) -> Source:
    """The source of a program, whose signatures are `distinct`."""
    name = "" if is_bare(program) else class_name(handle)
    modules = ModuleSource()
    last = [f"program = {name}()"] if name else bare(program.modules[0], modules)
    classes = [pipeline(program, name, modules)] if name else []
    own = pb.LmSettings() if name else program.modules[0].lm
    if settings := setting_text(merged(program.lm, own)):
        last = [SETTINGS, f"dspy.configure({settings})", "", *last]
    above = [*modules.definitions.values(), *classes]
    text = "\n\n\n".join([modules.imports(), *above, "\n".join(last)])
    found = [re.match(r"class (\w+)", line) for line in text.split("\n")]
    lines = {one[1]: number for number, one in enumerate(found, start=1) if one}
    return Source(f"{text}\n", name, lines)


def bare(module: pb.Module, modules: ModuleSource) -> list[str]:
    """The lines that make a program of one module."""
    lines = [f"program = {modules.expression(module)}"]
    if module.type == "Refine":
        lines.append(f"program.reward_fn_code = {modules.reward_code(module)}")
    return lines


def pipeline(program: pb.Program, name: str, modules: ModuleSource) -> str:
    """The class of a program."""
    lines = [f"class {name}(dspy.Module):", "    def __init__(self):", "        super().__init__()"]
    for module in program.modules:
        lines.append(f"        self.{module.name} = {modules.expression(module)}")
        if module.type == "Refine":
            code = modules.reward_code(module)
            lines.append(f"        self.{module.name}.reward_fn_code = {code}")
    inputs = {field.name: field.name for field in program.signature.inputs}
    optional = {f.name for f in program.signature.inputs if f.type.HasField("optional")}
    if optional or "dspy" in inputs:
        inputs = {field: f"inputs[{literal(field)}]" for field in inputs}
        lines += ["", "    def forward(self, **inputs):"]
    else:
        lines += ["", f"    def forward({', '.join(['self', *inputs])}):"]
    variables = variables_of(program)

    def source(wire: pb.Wire) -> str:
        return member(variables[wire.module], wire.field) if wire.module else inputs[wire.field]

    for module in program.modules:
        may_lack = [w for w in module.wires if not w.module and w.field in optional]
        passed = [f"{w.input}={source(w)}" for w in module.wires if w not in may_lack]
        if module.type in CODE_TYPES:
            passed += [f"{w.input}=inputs.get({literal(w.field)})" for w in may_lack]
        elif may_lack:
            pairs = literal([[w.input, w.field] for w in may_lack])
            passed.append(f"**{{to: inputs[name] for to, name in {pairs} if name in inputs}}")
        call = f"{variables[module.name]} = self.{module.name}({', '.join(passed)})"
        if settings := setting_text(own_settings(program, module)):
            lines += [f"        with dspy.context({settings}):", f"            {call}"]
        else:
            lines.append(f"        {call}")
    outputs = {wire.input: source(wire) for wire in program.outputs}
    # dspy.Prediction would take a keyword called base for a prediction to copy.
    told = (
        f"{{{', '.join(f'{literal(key)}: {value}' for key, value in outputs.items())}}}"
        if "base" in outputs
        else ", ".join(f"{key}={value}" for key, value in outputs.items())
    )
    return "\n".join([*lines, f"        return dspy.Prediction({told})"])


def own_settings(program: pb.Program, module: pb.Module) -> pb.LmSettings:
    """A module's own settings; over the program's if they name a model of their own."""
    return merged(program.lm, module.lm) if module.lm.model else module.lm


def variables_of(program: pb.Program) -> dict[str, str]:
    """A variable for the prediction of each module, which hides no input."""
    taken = {"self", "dspy", "inputs", *(field.name for field in program.signature.inputs)}
    variables: dict[str, str] = {}
    for module in program.modules:
        variable = module.name
        while variable in taken:
            variable = f"{variable}_"
        taken.add(variable)
        variables[module.name] = variable
    return variables
