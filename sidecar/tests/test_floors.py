import ast
from itertools import chain
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "dspy_sidecar"
FLOORS = [
    [
        "settings",
        "log",
        "faults",
        "json_values",
        "threads",
        "combining_marks",
        "cores",
        "parent_process",
        "proxies",
        "heartbeat",
        "stacks",
        "forks",
        "long_texts",
    ],
    ["values"],
    ["models.http", "interpreter", "tools", "scoring"],
    ["models"],
    ["programs"],
    ["runs", "optimizing"],
    ["serving"],
    ["__main__"],
]
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


def imported(path: Path) -> set[str]:
    """The modules of this package that a file imports, also inside its functions."""
    nodes = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
    ]
    names = chain.from_iterable(
        [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for node in nodes
        if node.module
    )
    return {name.removeprefix("dspy_sidecar.") for name in names} & MODULES.keys()


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def place(module: str) -> tuple[int, str]:
    """The floor of a module and its room there: the longest name that the module begins with."""
    rooms = [(floor, room) for floor, names in enumerate(FLOORS) for room in names]
    return max(
        ((floor, room) for floor, room in rooms if module == room or module.startswith(f"{room}.")),
        key=lambda found: len(found[1]),
    )


def test_every_module_has_a_floor():
    assert len(MODULES) > 50 and all(place(module) for module in MODULES)


def test_no_import_runs_up_or_across_to_another_room_of_the_same_floor():
    wrong = []
    for module, targets in IMPORTS.items():
        for target in targets:
            (from_floor, from_room), (to_floor, to_room) = place(module), place(target)
            is_across = to_floor == from_floor and to_room != from_room and from_floor > 0
            if to_floor > from_floor or is_across:
                wrong.append(f"{module} -> {target}")
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle():
    done: set[str] = set()

    def circle(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module not in done:
            for target in sorted(IMPORTS[module]):
                if found := circle(target, [*way, module]):
                    return found
            done.add(module)
        return []

    assert [found for module in IMPORTS if (found := circle(module, []))] == []
