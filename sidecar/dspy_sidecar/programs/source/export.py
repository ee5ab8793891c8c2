"""A program for a notebook: its source, and its state in the form that the source loads."""

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs import states
from dspy_sidecar.programs.programs import Pipeline, build
from dspy_sidecar.programs.source.program import distinct, source_of


def exported(program: pb.Program, handle: str) -> tuple[str, str]:
    """The source of a program, and its state; the state is empty if the program has none.

    Raises:
        BuildFailedError: DSPy can't build the program.
        NotEnabledError: As of `build`.

    """
    built = build(program)
    source = source_of(distinct(program, handle), handle)
    if not program.compiled_state:
        return source.text, ""
    # A class has its module as an attribute, under whose name it loads that module's state.
    is_class = source.name and len(built.steps) == 1
    return source.text, states.dump(Pipeline(list(built.steps)) if is_class else built.module)
