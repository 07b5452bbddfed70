"""Check that the package is built as the house wants it. Prints what is wrong; exits 1 if anything is.

    python tools/check_imports.py

- a wing imports only from the wings it may use, and nobody imports through the package's front door;
- pyro stands in the model wing alone, torch there and in prospectivity; nbdev, fastcore and IPython nowhere in the package;
- no circle of imports among the rooms of a wing, imports inside functions included;
- names with a leading underscore stay in their room: no other room, page or benchmark takes them;
- every room is exported by its own notebook: `nbs/<wing>/NN_<room>.ipynb` gives `scvae_nb/<wing>/<room>.py`;
- `import scvae_nb` loads neither torch nor pyro, every public name can be had, and type checkers are told of the same names.
"""
import ast
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "scvae_nb"
WINGS = {  # each wing and the wings that it may use
    "survey": [],
    "geostatistics": ["survey"],
    "model": ["survey", "geostatistics"],
    "evaluation": ["survey", "geostatistics", "model"],
    "prospectivity": ["survey", "geostatistics", "model", "evaluation"],
    "reporting": ["survey", "geostatistics", "model", "evaluation"],
    "cli": ["survey", "geostatistics", "model", "evaluation", "prospectivity", "reporting"],
}
ONLY_IN = {"torch": ["model", "prospectivity"], "pyro": ["model"]}
NOWHERE = {"nbdev", "fastcore", "execnb", "IPython"}

_DEFAULT_EXP = re.compile(r"^\s*#\|\s*default_exp\s+(\S+)", re.MULTILINE)
_LAZY = f"""
import sys, {PACKAGE}
loaded = sorted({{"torch", "pyro"}} & set(sys.modules))
if loaded: print("import {PACKAGE} loads", *loaded)
for name in {PACKAGE}.__all__:
    try: getattr({PACKAGE}, name)
    except Exception as error: print(f"{PACKAGE}.{{name}} cannot be had:", repr(error))
"""


def imports_of(tree, here=()):
    """Yield (line, dotted name, the name that it is bound to) of everything that `tree` imports, anywhere in it.

    `here`: the parts of the name of the package that the code stands in, for relative imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}", alias.asname or alias.name) for alias in node.names)


def rooms():
    """Yield (path, dotted name, syntax tree, imports) of each module of the package that stands in a wing."""
    for path in sorted((ROOT / PACKAGE).glob("*/**/*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield path, ".".join(parts), tree, list(imports_of(tree, parts[:-1]))


def judge(wing, name):
    """What is wrong with a module of `wing` importing `name`, or None."""
    top, *inner = name.split(".")
    if top in NOWHERE:
        return f"the package does not use {top}"
    if wing not in ONLY_IN.get(top, [wing]):
        return f"{top} belongs in {' and '.join(ONLY_IN[top])} alone"
    if inner[-1:] == ["*"]:
        return "star import"
    if top != PACKAGE or inner == ["__version__"]:
        return None
    if not inner or inner[0] not in WINGS:
        return "import the room itself, not through the package's front door"
    if inner[0] not in [wing, *WINGS[wing]]:
        return f"{wing} may use {', '.join(WINGS[wing]) or 'no other wing'}"
    return None


def check_direction():
    """Yield a line for each import that goes against the order of the wings."""
    for path, name, _, imports in rooms():
        wing = name.split(".")[1]
        if wing not in WINGS:
            yield f"{path.relative_to(ROOT)}: {wing} is none of the wings {', '.join(WINGS)}"
            continue
        for line, what, _ in imports:
            fault = judge(wing, what)
            if fault:
                yield f"{path.relative_to(ROOT)}:{line}: imports {what}: {fault}"


def way_back(start, graph):
    """The shortest way from a room along its imports back to itself, as a list of rooms; None if there is none."""
    ways, seen = [[start]], set()
    for way in ways:  # grows while it is read: a search in breadth
        for room in sorted(graph.get(way[-1], ())):
            if room == start:
                return [*way, start]
            if room not in seen:
                seen.add(room)
                ways.append([*way, room])
    return None


def check_circles():
    """Yield a line for each circle of imports among the rooms of a wing; imports inside functions count."""
    listed = list(rooms())
    names = {name for _, name, _, _ in listed}
    graph = {}
    for _, name, _, imports in listed:
        met = {room for _, what, _ in imports for room in (what, what.rpartition(".")[0]) if room in names}
        graph[name] = {room for room in met if room.split(".")[1] == name.split(".")[1]}
    told = set()
    for name in sorted(graph):
        way = way_back(name, graph)
        if way and frozenset(way) not in told:
            told.add(frozenset(way))
            yield f"rooms that import each other in a circle: {' -> '.join(way)}"


def private_uses(tree, imports, room):
    """Yield (line, dotted name) of each private name of another room that code of `room` (or of a page without one) uses."""
    modules = {}
    for line, what, bound in imports:
        inner = what.split(".")[1:]
        if what.split(".")[0] != PACKAGE or what.rpartition(".")[0] == room:
            continue
        if any(is_private(part) for part in inner):
            yield line, what
        modules[bound] = what
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = modules.get(ast.unparse(node.value))
            if owner and (ROOT / owner.replace(".", "/")).with_suffix(".py").is_file():
                yield node.lineno, f"{owner}.{node.attr}"


def is_private(name):
    """Whether a name begins with one underscore: `__version__` and its like are public."""
    return name.startswith("_") and not name.startswith("__")


def pages():
    """Yield (where, syntax tree, the room exported there or None) of each code cell of each notebook, and of each benchmark."""
    for path in sorted((ROOT / "nbs").glob("**/*.ipynb")):
        sources = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
        room = next((found[1] for found in map(_DEFAULT_EXP.search, sources) if found), None)
        for source in sources:
            try:
                yield str(path.relative_to(ROOT)), ast.parse(source), room and f"{PACKAGE}.{room}"
            except SyntaxError:  # a magic, or a shell command
                continue
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8")), None


def check_private():
    """Yield a line for each private name that is used outside its room: by a room, a page or a benchmark."""
    told = set()
    for path, name, tree, imports in rooms():
        for line, what in private_uses(tree, imports, name):
            told.add(what)
            yield f"{path.relative_to(ROOT)}:{line}: uses {what}, a private name of another room"
    for where, tree, room in pages():
        for _, what in private_uses(tree, imports_of(tree), room):
            if what not in told:  # else the room that the page exports was told of it
                yield f"{where}: uses {what}, a private name of another room"


def check_rooms():
    """Yield a line for each notebook whose module has another name or place, and each module without a notebook."""
    exported = set()
    for path in sorted((ROOT / "nbs").glob("*/*.ipynb")):
        text = path.read_text(encoding="utf-8")
        room = f"{path.parent.name}.{re.sub(r'^[0-9]+_', '', path.stem)}"
        exports = re.findall(r'"\s*#\|\s*default_exp\s+(\S+?)(?:\\n)?"', text)
        if exports not in ([], [room]):
            yield f"{path.relative_to(ROOT)}: exports {', '.join(exports)}, and by its name should export {room}"
        exported.update(exports)
    for path in sorted((ROOT / PACKAGE).glob("*/**/*.py")):
        room = ".".join(path.relative_to(ROOT / PACKAGE).with_suffix("").parts)
        if path.name != "__init__.py" and room not in exported:
            yield f"{path.relative_to(ROOT)}: no notebook exports it"


def check_told():
    """Yield a line for each public name that scvae_nb/__init__.py gives to users and to type checkers from different rooms."""
    loaded, told = {}, {}
    for statement in ast.parse((ROOT / PACKAGE / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "_homes":
            loaded = ast.literal_eval(statement.value)
        elif isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            told |= {alias.name: line.module for line in statement.body if isinstance(line, ast.ImportFrom) for alias in line.names}
    for name in sorted(loaded.keys() | told.keys()):
        if loaded.get(name) != told.get(name):
            yield f"{PACKAGE}.{name} is loaded from {loaded.get(name)}, and type checkers are told {told.get(name)}"


def check_front_door():
    """Yield a line for each public name that cannot be had, and for heavy packages loaded too early."""
    yield from check_told()
    run = subprocess.run([sys.executable, "-c", _LAZY], cwd=ROOT, capture_output=True, text=True)
    yield from run.stdout.splitlines()
    if run.returncode:
        yield run.stderr


def main():
    faults = [*check_direction(), *check_circles(), *check_private(), *check_rooms(), *check_front_door()]
    verdict = f"{len(faults)} faults" if faults else "as the house wants them"
    print(*faults, f"imports and rooms: {verdict}", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
