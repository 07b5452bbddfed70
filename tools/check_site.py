"""Check the documentation site without Quarto: nbdev processes the notebooks, pandoc makes the pages, this reads them.

    python tools/check_site.py [--keep FOLDER] [--workers 2]

It prints what is wrong and exits 1 on: dead links and anchors, missing pictures and pictures without alternative text, references and citations that
lead nowhere, formulas that cannot be set or stay TeX, whatever a page would load from a network, pages above 3 MB, tutorials and explanations that do
not say how long they run, notebooks missing from nbs/sidebar.yml, title cells whose text nbdev would drop, code cells that should show something and
have no saved output, saved errors, and outputs that name places of one machine. Quarto itself only warns about a broken link, and exits 0. With --keep
the pages stay in a folder, to be looked at.
"""
import argparse
import ast
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbdev.doclinks
import yaml
from nbdev.quarto import nbdev_sidebar, refresh_quarto_yml
from nbdev.serve import proc_nbs

import notebooks
import pages as site_pages

BIBLIOGRAPHY = "references.bib"  # in nbs/
LARGEST_PAGE = 3_000_000  # bytes, pictures included
_ENTRY = re.compile(r"^\s*@\w+\{\s*([^,\s]+)\s*,", re.MULTILINE)
_SHOWING = {"print", "display", "show_doc", "head", "tail", "describe", "plot", "hist", "scatter", "imshow", "show"}
_LABEL = re.compile(r"(?:\{#|#\|\s*label:\s*)((?:fig|tbl|eq|sec|lst)-[\w-]+)")
_GLUED_LIST = re.compile(r"^(?![-*>|#\s]|\d+\.\s|```).*\n(?:[-*]|\d+\.) ", re.MULTILINE)
_PLACE = re.compile(r"(?<![\w./~-])/(?:tmp|home|root|Users|var|opt|usr|mnt)/\w\S*")
_RUN_TIME = re.compile(r"\*\*Run time:\*\* [^\n]*\b(?:seconds?|minutes?|hours?|s)\b")
_FEWEST_LETTERS = 20  # of an alternative text: "a map" says nothing
_RULES = {
    "no `thead th {text-align: right}`; pandoc drops a table's own, and headings stand over the wrong columns":
        re.compile(r"\.cell-output[^{}]* thead th\b[^{}]*\{[^{}]*text-align: right"),
    "no `.cell-output > pre {white-space: pre-wrap}`; long printed lines are cut": re.compile(r"\.cell-output > pre\b[^{}]*\{[^{}]*white-space: pre-wrap"),
}
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
    if path.parent.name in ("tutorials", "explanations") and not any(_RUN_TIME.match(cell.source) for cell in notebook.cells[1:2]):
        yield f"{where}: the cell after the title does not begin with the run time, such as `**Run time:** about 40 seconds on one core`"


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
    if not silenced:
        yield from check_alternative(cell)


def check_alternative(cell):
    """Yield what is wrong with the alternative texts of a cell's saved pictures: for those who do not see them, and for search."""
    count = sum(bool(site_pages.PICTURES.keys() & output.get("data", {}).keys()) for output in cell.outputs)
    if not count:
        return
    try:
        texts = site_pages.options(cell.source).get("fig-alt")
    except yaml.YAMLError as error:
        yield f"options that are no YAML, so that Quarto cannot read them: {' '.join(str(error).split())}"
        return
    texts = [texts] if isinstance(texts, str) else texts or []
    if len(texts) != count:
        yield f'{count} saved pictures and {len(texts)} alternative texts; write `#| fig-alt: "what the picture shows"`, a list for several pictures'
    yield from (f"an alternative text that says too little: {text!r}" for text in texts if len(str(text)) < _FEWEST_LETTERS)


# The pages


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


def check_pages(processed, config, pages, sources):
    """Yield what is wrong with the pages of the site."""
    keys = _ENTRY.findall((processed / BIBLIOGRAPHY).read_text(encoding="utf-8")) if (processed / BIBLIOGRAPHY).is_file() else []
    for inner, page in sources.items():
        content, folder = pages[page], (processed / inner).parent
        known = {*keys, *_LABEL.findall((processed / inner).read_text(encoding="utf-8"))}
        faults = [resolve(link, page, processed, pages, sources, config) for link in content.links]
        for picture, alternative in content.pictures:
            elsewhere = urlsplit(picture).scheme or urlsplit(picture).netloc
            faults.append(None if elsewhere or (folder / unquote(picture)).is_file() else f"missing picture {picture}")
            faults.append(None if alternative else f"no alternative text of picture {picture[:80]}")
        faults += [f"loads {address[:80]} from a network; pages are read offline too" for address in content.loaded if urlsplit(address).netloc]
        faults += [f"a formula that stays TeX: {words}; write it in a text cell" for words in content.tex]
        faults += [f"unresolved reference @{name}" for name in content.references if name not in known]
        if content.size > LARGEST_PAGE:
            faults.append(f"the page has {content.size / 1e6:.1f} MB with its pictures; at most {LARGEST_PAGE / 1e6:g} MB. Draw fewer or smaller pictures")
        yield from (f"nbs/{inner}: {fault}" for fault in dict.fromkeys(filter(None, faults)))


def check_settings(folder):
    """Yield what _quarto.yml and styles.css set otherwise than the pages need it."""
    settings = yaml.safe_load((folder / "_quarto.yml").read_text(encoding="utf-8"))
    if settings.get("format", {}).get("html", {}).get("html-math-method") != "mathml":
        yield "_quarto.yml: html-math-method is not mathml; every other way loads a script from a network to set formulas"
    if not settings.get("website", {}).get("navbar", {}).get("search"):
        yield "_quarto.yml: the navbar has no search"
    html, sidebar = settings.get("format", {}).get("html", {}), settings.get("website", {}).get("sidebar", {})
    if html.get("code-overflow") != "wrap" or "body-width" not in html.get("grid", {}):
        yield "_quarto.yml: code-overflow is not wrap, or grid has no body-width; Quarto then cuts code after 84 characters"
    if sidebar.get("collapse-level") != 1:
        yield "_quarto.yml: the sidebar's collapse-level is not 1; every section then stands open"
    style = (folder / "styles.css").read_text(encoding="utf-8") if (folder / "styles.css").is_file() else ""
    yield from (f"styles.css: {fault}" for fault, rule in _RULES.items() if not rule.search(style))
    if settings.get("bibliography") != BIBLIOGRAPHY or not (folder / BIBLIOGRAPHY).is_file():
        yield f"_quarto.yml: the bibliography is {settings.get('bibliography')!r}; expected {BIBLIOGRAPHY!r}, and that file in nbs/"


def sidebar_of(folder):
    """The entries of nbs/sidebar.yml."""
    return yaml.safe_load((folder / "sidebar.yml").read_text(encoding="utf-8"))["website"]["sidebar"]["contents"]


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

    listed = set(entries(sidebar_of(folder)))
    present = {path.relative_to(folder).as_posix() for path in notebooks.find([folder])}
    yield from (f"nbs/sidebar.yml leaves out {name}" for name in sorted(present - listed))
    yield from (f"nbs/sidebar.yml names {name}, which does not exist" for name in sorted(listed - present))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="FOLDER", help="write the pages there, with their pictures, to look at them in a browser")
    parser.add_argument("--workers", type=int, default=2, help="processes in which nbdev processes the notebooks; 0: in this one")
    options = parser.parse_args()
    config = notebooks.get_config()
    folder = Path(config.nbs_path).resolve()
    faults = [fault for path in notebooks.find() for fault in check_saved(path, notebooks.read(path))]
    refresh_quarto_yml()
    nbdev.doclinks._build_modidx()
    nbdev_sidebar.__wrapped__(file_glob=None, file_re=r"\.(?:ipynb|qmd|html)$")
    faults += [*check_sidebar(folder), *check_settings(folder)]
    try:
        processed = Path(proc_nbs(force=True, n_workers=options.workers)).resolve()
    except Exception as error:  # whatever a notebook raises while nbdev runs its imports and show_doc cells
        causes = re.findall(r"^\w+(?:Error|Exception|Interrupt)\b.*", str(error.__cause__), re.MULTILINE)
        faults.append(f"nbdev cannot process the notebooks: {'; '.join(causes[:1])}\n{error}")
    else:
        pages, sources, warnings = site_pages.read_pages(processed, processed / BIBLIOGRAPHY)
        faults += [*warnings, *check_pages(processed, config, pages, sources)]
        if options.keep:
            style = (folder / "styles.css").read_text(encoding="utf-8") if (folder / "styles.css").is_file() else ""
            site_pages.keep(options.keep, processed, pages, sources, sidebar_of(folder), style)
    print(*faults, f"site: {len(faults)} faults" if faults else "site: no faults", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
