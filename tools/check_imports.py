"""Check that the package is built as the house wants it. Prints what is wrong; exits 1 if anything is.

    python tools/check_imports.py

- a wing imports only from the wings it may use, and nobody imports through the package's front door;
- torch and pyro stand in the model wing alone; nbdev, fastcore and IPython nowhere in the package;
- every room is exported by its own notebook: `nbs/<wing>/NN_<room>.ipynb` gives `scvae_nb/<wing>/<room>.py`;
- `import scvae_nb` loads neither torch nor pyro, and every public name can be had.
"""
import ast
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
ONLY_IN_MODEL = {"torch", "pyro"}
NOWHERE = {"nbdev", "fastcore", "execnb", "IPython"}

_LAZY = f"""
import sys, {PACKAGE}
loaded = sorted({{"torch", "pyro"}} & set(sys.modules))
if loaded: print("import {PACKAGE} loads", *loaded)
for name in {PACKAGE}.__all__:
    try: getattr({PACKAGE}, name)
    except Exception as error: print(f"{PACKAGE}.{{name}} cannot be had:", repr(error))
"""


def imported(path):
    """Yield (line, dotted name) of everything that a module of the package imports, anywhere in it."""
    here = [PACKAGE, *path.relative_to(ROOT / PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def judge(wing, name):
    """What is wrong with a module of `wing` importing `name`, or None."""
    top, *inner = name.split(".")
    if top in NOWHERE:
        return f"the package does not use {top}"
    if top in ONLY_IN_MODEL and wing != "model":
        return f"{top} belongs in the model wing alone"
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
    for path in sorted((ROOT / PACKAGE).glob("*/**/*.py")):
        wing = path.relative_to(ROOT / PACKAGE).parts[0]
        if wing not in WINGS:
            yield f"{path.relative_to(ROOT)}: {wing} is none of the wings {', '.join(WINGS)}"
            continue
        for line, name in imported(path):
            fault = judge(wing, name)
            if fault:
                yield f"{path.relative_to(ROOT)}:{line}: imports {name}: {fault}"


def check_rooms():
    """Yield a line for each notebook whose module has another name or place, and each module without a notebook."""
    rooms = set()
    for path in sorted((ROOT / "nbs").glob("*/*.ipynb")):
        text = path.read_text(encoding="utf-8")
        room = f"{path.parent.name}.{re.sub(r'^[0-9]+_', '', path.stem)}"
        exports = re.findall(r'"\s*#\|\s*default_exp\s+(\S+?)(?:\\n)?"', text)
        if exports not in ([], [room]):
            yield f"{path.relative_to(ROOT)}: exports {', '.join(exports)}, and by its name should export {room}"
        rooms.update(exports)
    for path in sorted((ROOT / PACKAGE).glob("*/**/*.py")):
        room = ".".join(path.relative_to(ROOT / PACKAGE).with_suffix("").parts)
        if path.name != "__init__.py" and room not in rooms:
            yield f"{path.relative_to(ROOT)}: no notebook exports it"


def check_front_door():
    """Yield a line for each public name that cannot be had, and for heavy packages loaded too early."""
    run = subprocess.run([sys.executable, "-c", _LAZY], cwd=ROOT, capture_output=True, text=True)
    yield from run.stdout.splitlines()
    if run.returncode:
        yield run.stderr


def main():
    faults = [*check_direction(), *check_rooms(), *check_front_door()]
    verdict = f"{len(faults)} faults" if faults else "as the house wants them"
    print(*faults, f"imports and rooms: {verdict}", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
