"""Check the documentation site without Quarto: nbdev processes the notebooks, pandoc makes the pages, this reads them.

    python tools/check_site.py

It prints what is wrong and exits 1 on: dead links and anchors, missing pictures, references that lead nowhere,
formulas that cannot be set, notebooks missing from nbs/sidebar.yml, title cells whose text nbdev would drop, code cells
that should show something and have no saved output, saved errors, and outputs that name places of one machine.
Quarto itself only warns about a broken link, and exits 0.
"""
import ast
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbdev.doclinks
import pypandoc
import yaml
from nbdev.processors import _fm2dict
from nbdev.quarto import nbdev_sidebar, refresh_quarto_yml
from nbdev.serve import proc_nbs

import notebooks

_SHOWING = {"print", "display", "show_doc", "head", "tail", "describe", "plot", "hist", "scatter", "imshow", "show"}
_LABEL = re.compile(r"(?:\{#|#\|\s*label:\s*)((?:fig|tbl|eq|sec|lst)-[\w-]+)")
_GLUED_LIST = re.compile(r"^(?![-*>|#\s]|\d+\.\s|```).*\n(?:[-*]|\d+\.) ", re.MULTILINE)
_PLACE = re.compile(r"(?<![\w./~-])/(?:tmp|home|root|Users|var|opt|usr|mnt)/\w\S*")
_READER = (  # what Quarto switches on in the Markdown of a notebook
    "ipynb+citations+header_attributes+fenced_divs+bracketed_spans+link_attributes+footnotes+implicit_header_references"
    "-gfm_auto_identifiers-lists_without_preceding_blankline"
)
_TITLE_LINE = re.compile(r"#\s+\S|>\s+\S|-\s+\S.*:|\s*$")


# What the notebooks have saved


def shows(source):
    """Whether code surely shows something: its last expression, or a call that prints or draws."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic, or a shell command: it may show anything or nothing
        return False
    expressions = [statement.value for statement in statements if isinstance(statement, ast.Expr)]
    for call in filter(lambda value: isinstance(value, ast.Call), expressions):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if name in _SHOWING or name.startswith("plot_"):
            return True
    is_last = expressions and expressions[-1] is getattr(statements[-1], "value", None)
    return bool(is_last) and not isinstance(expressions[-1], ast.Call) and not source.rstrip().endswith(";")


def check_saved(path, notebook):
    """Yield what is wrong with the saved outputs and the title cell of a notebook."""
    where = notebooks.name(path)
    first = next((cell.source for cell in notebook.cells if cell.cell_type in ("markdown", "raw")), "")
    dropped = [line for line in first.splitlines() if not _TITLE_LINE.match(line)]
    if not re.match(r"#\s+\S|---", first):
        yield f"{where}: the first text cell is no title: `# Title` and one line `> what it is about`"
    elif not first.startswith("---") and (dropped or len(re.findall(r"^>", first, re.MULTILINE)) > 1):
        yield f"{where}: nbdev drops what the title cell says beyond a title and one line of quote: {dropped}"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            yield from (f"{where} cell {index}: {fault}" for fault in check_cell(cell))
        elif cell.cell_type == "markdown" and _GLUED_LIST.search(cell.source):
            yield f"{where} cell {index}: a list needs an empty line before it, or Quarto sets it as running text"
    if any(notebooks.EXPORT & cell.directives_.keys() for cell in code) and not any(cell.outputs for cell in code):
        yield f"{where}: no cell has a saved output; run tools/execute_notebooks.py"


def mixes_imports(source):
    """Whether code has imports at its top level beside something else: nbdev executes such a cell to make the site."""
    try:
        imports = [isinstance(statement, (ast.Import, ast.ImportFrom)) for statement in ast.parse(source).body]
    except SyntaxError:
        return False
    return any(imports) and not all(imports)


def check_cell(cell):
    """Yield what is wrong with a code cell and its saved outputs."""
    directives = cell.directives_
    values = {key: (value or [""])[0].lower() for key, value in directives.items()}
    quiet = notebooks.EXPORT | {"hide", "default_exp"}
    silenced = quiet & directives.keys() or "false" in (values.get("eval:"), values.get("include:"), values.get("output:"))
    if not cell.outputs and not silenced and shows(cell.source):
        yield "should show something and has no saved output"
    if mixes_imports(cell.source):
        yield "imports and other code: nbdev executes the cell to make the site; give the imports a cell of their own"
    for output in cell.outputs:
        if output["output_type"] == "error":
            yield f"a saved error: {output['ename']}"
        texts = [output.get("text", []), *(text for kind, text in output.get("data", {}).items() if "text" in kind)]
        for place in {match for text in texts for match in _PLACE.findall("".join(text))}:
            yield f"an output names a place of one machine: {place}"


# The pages


class _Page(HTMLParser):
    """The anchors, links, pictures and references of one page."""

    def __init__(self, html):
        super().__init__()
        self.anchors, self.links, self.pictures, self.references = set(), [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors.update(filter(None, (given.get("id"), given.get("name"))))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img":
            self.pictures.append(given.get("src") or "")
        self.references += (given.get("data-cites") or "").split()


def for_pandoc(cells):
    """The cells as pandoc takes them, with the outputs that can hold a link: Markdown as cells, as Quarto does it."""
    for cell in cells:
        yield cell
        if cell["cell_type"] == "code":
            shown = [output.get("data", {}) for output in cell["outputs"]]
            cell |= {"execution_count": 1, "outputs": [  # pandoc refuses a count of null
                {"output_type": "display_data", "metadata": {}, "data": {"text/html": data["text/html"]}}
                for data in shown if "text/html" in data
            ]}
            for data in shown:
                if "text/markdown" in data:
                    yield {"cell_type": "markdown", "metadata": {}, "source": data["text/markdown"]}


def to_html(path):
    """A processed notebook as HTML, and what pandoc warned of."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"] = list(for_pandoc(notebook["cells"]))
    run = subprocess.run(
        [pypandoc.get_pandoc_path(), "-f", _READER, "-t", "html", "--mathml"],
        input=json.dumps(notebook), capture_output=True, text=True,
    )
    if run.returncode:
        raise SystemExit(f"{path}: pandoc: {run.stderr}")
    return run.stdout, [warning for warning in run.stderr.split("[WARNING] ") if warning.strip()]


def read_pages(processed):
    """Return the pages ({path of the HTML file in the site: _Page}), their notebooks, and pandoc's warnings."""
    pages, sources, warnings = {}, {}, []
    for path in notebooks.find([processed]):
        inner = path.relative_to(processed)
        raw = next((c["source"] for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "raw"), "")
        front = _fm2dict("".join(raw))
        html, told = to_html(path)
        page = (inner.parent / front.get("output-file", inner.with_suffix(".html").name)).as_posix()
        pages[page], sources[inner.as_posix()] = _Page(html), page
        warnings += [f"nbs/{inner}: {' '.join(line.split())}" for line in told]
    return pages, sources, warnings


def resolve(link, page, processed, pages, sources, config):
    """Say what is wrong with a link of a page, or return None."""
    site = f"{config.doc_host}{config.doc_baseurl}/"
    code = f"{config.git_url}/blob/{config.branch}/"
    if link.startswith(code):
        path = urlsplit(link.removeprefix(code)).path
        return None if (notebooks.ROOT / path).exists() else f"no such file in the repository: {path}"
    if link.startswith(site):
        link = "/" + link.removeprefix(site)
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    folder = "" if parts.path.startswith("/") else Path(page).parent.as_posix()
    target = os.path.normpath(Path(folder) / unquote(parts.path).lstrip("/")) if parts.path else page
    target = "index.html" if target == "." else sources.get(target, target)
    if target not in pages:
        return None if (processed / target).is_file() and not target.endswith(".html") else f"dead link {link}"
    if parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
        return f"dead anchor {link}"
    return None


def check_pages(processed, config):
    """Yield what is wrong with the pages of the site."""
    pages, sources, warnings = read_pages(processed)
    yield from warnings
    for inner, page in sources.items():
        content, folder = pages[page], (processed / inner).parent
        labels = set(_LABEL.findall((processed / inner).read_text(encoding="utf-8")))
        faults = [resolve(link, page, processed, pages, sources, config) for link in content.links]
        faults += [
            f"missing picture {picture}" for picture in content.pictures
            if not urlsplit(picture).scheme and not (folder / unquote(picture)).is_file()
        ]
        faults += [f"unresolved reference @{name}" for name in content.references if name not in labels]
        yield from (f"nbs/{inner}: {fault}" for fault in dict.fromkeys(filter(None, faults)))


def check_sidebar(folder):
    """Yield a line for each notebook that nbs/sidebar.yml leaves out, and each entry that leads nowhere."""

    def entries(node):
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield from entries([node.get("href") or [], node.get("contents") or []])
        else:
            for child in node:
                yield from entries(child)

    sidebar = yaml.safe_load((folder / "sidebar.yml").read_text(encoding="utf-8"))["website"]["sidebar"]
    listed = set(entries(sidebar))
    present = {path.relative_to(folder).as_posix() for path in notebooks.find([folder])}
    yield from (f"nbs/sidebar.yml leaves out {name}" for name in sorted(present - listed))
    yield from (f"nbs/sidebar.yml names {name}, which does not exist" for name in sorted(listed - present))


def main():
    config = notebooks.get_config()
    folder = Path(config.nbs_path).resolve()
    faults = [fault for path in notebooks.find() for fault in check_saved(path, notebooks.read(path))]
    refresh_quarto_yml()
    nbdev.doclinks._build_modidx()
    nbdev_sidebar.__wrapped__(file_glob=None, file_re=r"\.(?:ipynb|qmd|html)$")
    faults += check_sidebar(folder)
    try:
        processed = Path(proc_nbs(force=True, n_workers=2)).resolve()
    except Exception as error:  # whatever a notebook raises while nbdev runs its imports and show_doc cells
        causes = re.findall(r"^\w+(?:Error|Exception|Interrupt)\b.*", str(error.__cause__), re.MULTILINE)
        faults.append(f"nbdev cannot process the notebooks: {'; '.join(causes[:1])}\n{error}")
    else:
        faults += check_pages(processed, config)
    print(*faults, f"site: {len(faults)} faults" if faults else "site: no faults", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
