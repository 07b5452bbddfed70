"""Make README.md from nbs/index.ipynb by pandoc, with links that work from the root of the repository.

    python tools/build_readme.py            write README.md and the pictures that it shows (README_files/)
    python tools/build_readme.py --check    write nothing; exit 1 when they are out of date or a link is dead
"""
import argparse
import base64
import json
import re
import sys

import pypandoc
from execnb.nbio import nb2dict

import notebooks

SOURCE = notebooks.ROOT / "nbs" / "index.ipynb"
PICTURES = "README_files"
_HEADER = "<!-- Made from nbs/index.ipynb by tools/build_readme.py. Edit the notebook. -->\n\n"
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//")


def visible_cells(notebook):
    """The cells that readers see, without nbdev's directives; those of `echo: false` give their outputs alone."""
    for cell in notebook.cells:
        wanted = cell.directives_
        if "hide" in wanted or wanted.get("include:") == ["false"]:
            continue
        cell.source = re.sub(r"^\s*#\|.*\n?", "", cell.source, flags=re.MULTILINE)
        if wanted.get("echo:") == ["false"]:
            cell.source = ""
        yield cell


def prepare_outputs(cell, pictures):
    """Leave one format of each output: a link in the place of a PNG picture, which goes into `pictures` (name: bytes)."""
    alternative = " ".join(cell.directives_.get("fig-alt:", [])).strip("\"'")
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            name = f"{PICTURES}/picture_{len(pictures) + 1}.png"
            pictures[name] = base64.b64decode("".join(data["image/png"]))
            data = {"text/markdown": f"![{alternative}]({name})"}
        if data:
            kind = next(kind for kind in ("text/markdown", "text/html", "text/plain") if kind in data)
            text = re.sub(r"<style.*?</style>\s*", "", "".join(data[kind]), flags=re.DOTALL)
            output |= {"output_type": "display_data", "data": {kind: text.splitlines(keepends=True)}, "metadata": {}}
            output.pop("execution_count", None)


def from_root(target):
    """A link of the notebook, as it reads from the root of the repository."""
    if not target or _OUTSIDE.match(target):
        return target
    path, mark, anchor = target.partition("#")
    absolute = (SOURCE.parent / path).resolve()
    return absolute.relative_to(notebooks.ROOT).as_posix() + mark + anchor


def rework(node, targets):
    """Take the wrappers that pandoc puts around cells out of its tree; point links and pictures from the root."""
    if isinstance(node, list):
        reworked = []
        for child in node:
            kind = child.get("t") if isinstance(child, dict) else None
            if kind == "Div":
                reworked.extend(rework(child["c"][1], targets))
            elif kind != "CodeBlock" or child["c"][1]:
                reworked.append(rework(child, targets))
        return reworked
    if not isinstance(node, dict):
        return node
    node = {key: rework(value, targets) for key, value in node.items()}
    if node.get("t") in ("Link", "Image"):
        node["c"][2][0] = from_root(node["c"][2][0])
        targets.append(node["c"][2][0])
    if node.get("t") == "CodeBlock" and "python" in node["c"][0][1]:
        node["c"][0] = ["", ["python"], []]
    return node


def build():
    """The text of README.md, its pictures (name: bytes) and the targets of its links."""
    notebook, pictures, targets = notebooks.read(SOURCE), {}, []
    notebook.cells = list(visible_cells(notebook))
    for count, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            prepare_outputs(cell, pictures)
            cell.execution_count = count  # pandoc refuses null
    text = json.dumps(nb2dict(notebook))
    tree = json.loads(pypandoc.convert_text(text, "json", format="ipynb", extra_args=["--ipynb-output=all"]))
    tree["blocks"], tree["meta"] = rework(tree["blocks"], targets), {}
    arguments = ["--wrap=none", "--markdown-headings=atx"]
    readme = pypandoc.convert_text(json.dumps(tree), "gfm", format="json", extra_args=arguments)
    return _HEADER + readme.strip() + "\n", pictures, targets


def dead(targets):
    """The targets that lead to no file of the repository."""
    inside = [target.partition("#")[0] for target in targets if not _OUTSIDE.match(target)]
    return [path for path in inside if not (notebooks.ROOT / path).exists()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether README.md is up to date")
    options = parser.parse_args()
    readme, pictures, targets = build()
    faults = [f"README.md: dead link {path}" for path in dead(targets)]
    files = {"README.md": readme.encode()} | pictures
    if options.check:
        paths = {name: notebooks.ROOT / name for name in files}
        stale = [name for name, path in paths.items() if not path.exists() or path.read_bytes() != files[name]]
        faults += [f"{name} is out of date: run python tools/build_readme.py" for name in stale]
        faults += [
            f"{path.relative_to(notebooks.ROOT)}: README.md does not show it"
            for path in (notebooks.ROOT / PICTURES).glob("*") if f"{PICTURES}/{path.name}" not in pictures
        ]
    else:
        for name, content in files.items():
            (notebooks.ROOT / name).parent.mkdir(exist_ok=True)
            (notebooks.ROOT / name).write_bytes(content)
    print(*faults, f"README.md: {len(faults)} faults" if faults else "README.md is made from nbs/index.ipynb", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
