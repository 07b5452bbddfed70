"""The pages of the site as pandoc makes them: what nbdev has processed as HTML, with pictures in files, to be read by tools or by people."""
import base64
import itertools
import json
import os
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pypandoc
import yaml
from nbdev.processors import _fm2dict

import notebooks

_READER = (  # what Quarto switches on in the Markdown of a notebook
    "ipynb+citations+header_attributes+fenced_divs+bracketed_spans+link_attributes+footnotes+implicit_header_references"
    "-gfm_auto_identifiers-lists_without_preceding_blankline"
)
_OPTION = re.compile(r"^\s*#\|\s*(.*)\n?", re.MULTILINE)
_NO_CODE = re.compile(r'<div class="sourceCode"[^>]*><pre[^>]*><code[^>]*></code></pre></div>')
_TEX = re.compile(r"\\[A-Za-z]{2,}|\\[(\[]|\$[^\s$](?:[^$\n]*[^\s$])?\$")
_CROSS_REFERENCE = re.compile(r"Citeproc: citation (fig|tbl|eq|sec|lst)-\S+ not found")
PICTURES = {"image/png": ".png", "image/jpeg": ".jpg", "image/svg+xml": ".svg"}


def options(source):
    """Quarto's options of a code cell, such as `fig-alt` and `echo`; nbdev's own directives are no `name: value` and are left out.

    Raises yaml.YAMLError for an option that Quarto could not read either."""
    found = {}
    for line in _OPTION.findall(source):
        if re.match(r"[\w-]+:(\s|$)", line):
            found |= yaml.safe_load(line)
    return found


class Page(HTMLParser):
    """The anchors, links, pictures (source, alternative text) and citations of one page, what it loads and what TeX it shows, and its size with
    pictures, in bytes."""

    LOADING = {"script": "src", "link": "href", "iframe": "src", "img": "src", "source": "src", "video": "src", "object": "data"}
    VERBATIM = ("pre", "code", "style", "script", "annotation")  # the last: the TeX that MathML keeps for those who copy a formula

    def __init__(self, html, pictures_size=0):
        super().__init__()
        self.anchors, self.links, self.pictures, self.references = set(), [], [], []
        self.loaded, self.tex, self._verbatim = [], [], 0
        self.html, self.size = html, len(html.encode()) + pictures_size
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors.update(filter(None, (given.get("id"), given.get("name"))))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img":
            self.pictures.append((given.get("src") or "", (given.get("alt") or "").strip()))
        self.references += (given.get("data-cites") or "").split()
        if given.get(self.LOADING.get(tag)):
            self.loaded.append(given[self.LOADING[tag]])
        self._verbatim += tag in self.VERBATIM

    def handle_endtag(self, tag):
        self._verbatim -= tag in self.VERBATIM

    def handle_data(self, data):
        if not self._verbatim:
            self.tex += _TEX.findall(data)


def _text(value):
    return "".join(value)


def _readable_options(source):
    """`options`, or none where they cannot be read, which is said of the notebook elsewhere."""
    try:
        return options(source)
    except yaml.YAMLError:
        return {}


def _shown(output):
    """A saved output as pandoc takes it: of several formats the one that the site shows. None for pictures and Markdown, which become cells."""
    if output["output_type"] == "stream":
        return output
    data = output.get("data", {})
    for kind in ("text/html", "text/plain"):
        if kind in data and not PICTURES.keys() & data.keys() and "text/markdown" not in data:
            return {"output_type": "display_data", "metadata": {}, "data": {kind: data[kind]}}
    return None


def for_pandoc(cells, folder):
    """The cells as pandoc takes them: Markdown outputs and pictures as cells of text, as Quarto does it; yields (cell, pictures {path: bytes})."""
    count = 0
    for cell in cells:
        if cell["cell_type"] != "code":
            yield cell, {}
            continue
        source = _text(cell["source"])
        asked, outputs = _readable_options(source), cell["outputs"]
        quiet = asked.get("echo") is False
        # pandoc refuses a count of null
        yield cell | {"execution_count": 1, "source": "" if quiet else _OPTION.sub("", source),
                      "outputs": [shown for shown in map(_shown, outputs) if shown]}, {}
        texts = asked.get("fig-alt") or ""
        texts = iter(texts) if isinstance(texts, list) else itertools.repeat(str(texts))
        for data in (output.get("data", {}) for output in outputs):
            kind = next((kind for kind in PICTURES if kind in data), None)
            if kind:
                count += 1
                content = _text(data[kind])
                path = f"{folder}/figure-{count}{PICTURES[kind]}"
                text = re.sub(r"([\[\]\\*_`$<>@^~])", r"\\\1", next(texts, ""))
                link = f"![{text}]({path}){{.figure}}"
                yield ({"cell_type": "markdown", "metadata": {}, "source": link},
                       {path: content.encode() if kind == "image/svg+xml" else base64.b64decode(content)})
            elif "text/markdown" in data:
                yield {"cell_type": "markdown", "metadata": {}, "source": data["text/markdown"]}, {}


def to_html(path, bibliography):
    """A processed notebook as HTML, what pandoc warned of, and its pictures {path beside the notebook: bytes}."""
    notebook, pictures = json.loads(path.read_text(encoding="utf-8")), {}
    cells = []
    for cell, shown in for_pandoc(notebook["cells"], f"{path.stem}_files"):
        cells.append(cell)
        pictures |= shown
    notebook["cells"] = cells
    citations = ["--citeproc", f"--bibliography={bibliography}", "--metadata=link-citations:true"] if bibliography.is_file() else []
    run = subprocess.run(
        [pypandoc.get_pandoc_path(), "-f", _READER, "-t", "html", "--mathml", "--wrap=none", *citations],
        input=json.dumps(notebook), capture_output=True, text=True,
    )
    if run.returncode:
        raise SystemExit(f"{path}: pandoc: {run.stderr}")
    warnings = [warning for warning in run.stderr.split("[WARNING] ") if warning.strip()]
    # references to figures and sections look like citations to pandoc, and are checked against their labels
    return _NO_CODE.sub("", run.stdout), [warning for warning in warnings if not _CROSS_REFERENCE.match(warning)], pictures


def read_pages(processed, bibliography):
    """Return the pages ({path of the HTML file in the site: Page}), their notebooks, and pandoc's warnings; writes the pictures beside the notebooks."""
    pages, sources, warnings = {}, {}, []
    for path in notebooks.find([processed]):
        inner = path.relative_to(processed)
        raw = next((c["source"] for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "raw"), "")
        front = _fm2dict(_text(raw))
        html, told, pictures = to_html(path, bibliography)
        for name, content in pictures.items():
            (path.parent / name).parent.mkdir(exist_ok=True)
            (path.parent / name).write_bytes(content)
        page = (inner.parent / front.get("output-file", inner.with_suffix(".html").name)).as_posix()
        pages[page], sources[inner.as_posix()] = Page(html, sum(map(len, pictures.values()))), page
        pages[page].title, pages[page].description = front.get("title", inner.stem), front.get("description", "")
        warnings += [f"nbs/{inner}: {' '.join(line.split())}" for line in told]
    return pages, sources, warnings


# Pages to look at


_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ margin: 0; font: 16px/1.5 "DejaVu Sans", sans-serif; color: #222 }}
nav {{ float: left; width: 15em; padding: 1em; font-size: 13px }} nav a {{ display: block }} nav b {{ display: block; margin-top: .6em }}
main {{ margin-left: 18em; max-width: 920px; padding: 1em }} img {{ max-width: 100% }}
pre {{ background: #f4f4f4; padding: .6em; white-space: pre-wrap; overflow-x: auto; font-size: 13px }} .output pre {{ background: none }}
table {{ border: 0; border-collapse: collapse; font-size: 14px; display: block; width: fit-content; max-width: 100%; overflow-x: auto }}
td, th {{ padding: .2em .6em; border: 0; border-bottom: 1px solid #ddd }}
blockquote {{ color: #666; margin-left: 0 }}
{style}
</style></head><body><nav>{sidebar}</nav><main><h1>{title}</h1><blockquote>{description}</blockquote>
{body}
</main></body></html>
"""


def _sidebar(entries, sources, pages, up):
    """The sidebar as links; sections are in bold."""
    for entry in entries:
        if isinstance(entry, dict):
            yield f"<b>{escape(entry.get('section', ''))}</b>"
            yield from _sidebar(entry["contents"], sources, pages, up)
        else:
            page = sources.get(entry)
            yield f'<a href="{up}{page}">{escape(str(pages[page].title))}</a>' if page else escape(entry)


def _linked(html, place, sources, up):
    """Links to notebooks as links to their pages, whose names have no numbers."""
    def to_page(match):
        page = sources.get(os.path.normpath(place / match[1]))
        return f'href="{up}{page}' if page else match[0]

    return re.sub(r'href="([^":#?]+\.ipynb)', to_page, html)


def keep(folder, processed, pages, sources, entries, style):
    """Write the pages into a folder in a plain frame, with their pictures, links that work there and the style sheet of the site: the site, roughly,
    without Quarto."""
    folder = Path(folder)
    for inner, name in sources.items():
        page, target = pages[name], folder / name
        up = "../" * name.count("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        body = _linked(page.html, Path(inner).parent, sources, up).replace('<div class="output ', '<div class="cell-output output ')  # Quarto's name
        target.write_text(_FRAME.format(title=escape(str(page.title)), description=escape(str(page.description)), style=style, body=body,
                                        sidebar="".join(_sidebar(entries, sources, pages, up))), encoding="utf-8")
        pictures = (processed / inner).with_name(Path(inner).stem + "_files")
        if pictures.is_dir():
            shutil.copytree(pictures, target.parent / pictures.name, dirs_exist_ok=True)
