"""Tries every name that DSPy's code uses as a field, to find those that DSPy can't carry.

`npm run field-names` prints one a line, with what failed first. It takes about half an hour.
"""

import ast
import asyncio
import os
import re
import select
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"
os.environ.setdefault("OPENAI_API_KEY", "test")

import dspy
from field_trial import Trial, says
from scripted_model import ScriptedModel

from dspy_sidecar.models import dspy_patches

FOLDERS = [
    *["primitives", "predict", "adapters", "signatures", "evaluate", "teleprompt", "propose"],
    *["clients", "streaming", "utils"],
]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
BATCH = 200
TIME_LIMIT_S = 30


def candidates() -> list[str]:
    """Every name that DSPy's code uses: variables, attributes, arguments and texts."""
    found = {"dspy_version", "dspy_anything"}
    for folder in FOLDERS:
        for file in (Path(dspy.__file__).parent / folder).rglob("*.py"):
            found.update(names_in(ast.walk(ast.parse(file.read_text()))))
    return sorted(name for name in found if NAME.fullmatch(name))


def names_in(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.Constant(value=str(name)):
                yield name


def failure(names: list[str], side: str) -> str | None:
    """What failed first with these names, in a process of its own; None if every name is carried.

    Some names make an optimizer loop for ever, so the process has a time limit.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.write(writer, (asyncio.run(try_names(names, side)) or "").encode())
        os._exit(0)
    os.close(writer)
    try:
        if not select.select([reader], [], [], TIME_LIMIT_S)[0]:
            return f"no end within {TIME_LIMIT_S} s"
        return os.read(reader, 65_536).decode() or None
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


async def try_names(names: list[str], side: str) -> str | None:
    dspy_patches.install()
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    model = ScriptedModel()
    await model.start()
    model.script(says)
    return await Trial(model).failure(names, side)


def refused(names: list[str], side: str) -> dict[str, str]:
    """The names that fail, each with what failed first; halves the names until one is left."""
    why = failure(names, side)
    if why is None:
        return {}
    if len(names) == 1:
        return {names[0]: why}
    middle = len(names) // 2
    return {**refused(names[:middle], side), **refused(names[middle:], side)}


if __name__ == "__main__":
    tried = sys.argv[1:] or candidates()
    for side in ("inputs", "outputs"):
        for begin in range(0, len(tried), BATCH):
            for name, why in refused(tried[begin : begin + BATCH], side).items():
                print(f"{side}\t{name}\t{why}", flush=True)
    print(f"{len(tried)} names tried")
