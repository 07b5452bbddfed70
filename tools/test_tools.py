"""Show that the tools of this folder can fail: each passes on a small sound project and fails on broken copies.

    python tools/test_tools.py
"""
import base64
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from functools import partial
from pathlib import Path

import execnb.shell  # noqa: F401  (these are for the forks)
import nbdev.processors
import nbdev.quarto
import nbdev.serve
import nbdev.test  # noqa: F401
import pypandoc  # noqa: F401
import torch  # noqa: F401

from forks import fork

ROOT = Path(__file__).resolve().parents[1]
TITLE = "# Doubling\n> Twice as much of a thing."
SOUND = [
    TITLE,
    "#| default_exp survey.doubling",
    "#| hide\nfrom nbdev.showdoc import show_doc",
    '#| export\ndef _twice(x): return 2 * x\ndef double(x):\n    "Twice `x`."\n    return _twice(x)',
    "double(4)",
    "assert _twice(1) == 2",
    "#| slow\nassert double(3) == 6",
    "#| eval: false\nnever()",
    "Back to the [front page](../index.ipynb), or to `double`, or to [its anchor](10_doubling.ipynb#double).",
]
IN_ONE_PROCESS = ("--workers", "0")  # of check_site: starting processes takes longer than a small project does
FRONT = ["# Front\n> The front page.", "See [doubling](survey/10_doubling.ipynb).", "print('hello')"]


def write_notebook(path, sources, outputs=None):
    """Save cells as a notebook: text when a source begins as one, code otherwise; `outputs` by cell number."""
    cells = []
    for index, source in enumerate(sources):
        is_text = source[:2] in ("# ", "> ", "**") or source.split()[0] in ("See", "Back")
        cell = {"cell_type": "markdown" if is_text else "code", "id": f"cell{index}", "metadata": {}, "source": source}
        if not is_text:
            cell |= {"execution_count": None, "outputs": (outputs or {}).get(index, [])}
        cells.append(cell)
    kernel = {"display_name": "python3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook))


def picture(content):
    """A saved output that shows a picture."""
    return {"output_type": "display_data", "metadata": {}, "data": {"image/png": base64.b64encode(content).decode()}}


def run(folder, tool, *arguments):
    """Run a tool in a project, in a process of its own. Return the exit code and what it printed.

    The process is a fork of this one, which has imported what the tools import and nothing of a project: to import nbdev
    anew for each of some sixty runs took longer than the runs themselves."""
    with tempfile.TemporaryFile("w+") as printed:
        process = fork(partial(as_script, folder, folder / "tools" / f"{tool}.py", arguments), printed)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        printed.seek(0)
        return code, printed.read()


def as_script(folder, script, arguments):
    """What `python script arguments` does, from `folder`. Return the exit code where the script does not exit itself."""
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    os.chdir(folder)
    sys.argv, sys.path[:] = [str(script), *arguments], [str(script.parent), str(folder), *sys.path[1:]]
    runpy.run_path(str(script), run_name="__main__")
    return 0


def run_program(folder, *arguments):
    """Run Python in a project, as one would from its folder. Return the exit code and what it printed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


class Tools(unittest.TestCase):
    """A sound project is made once; every test breaks a copy of its own."""

    @classmethod
    def setUpClass(cls):
        cls.base = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.base)
        cls.sound = cls.base / "sound"
        shutil.copytree(ROOT / "tools", cls.sound / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("settings.ini", "_quarto.yml", ".coveragerc"):
            shutil.copy(ROOT / name, cls.sound)
        package = cls.sound / "scvae_nb"
        (package / "survey").mkdir(parents=True)
        (package / "__init__.py").write_text('__version__ = "0.1.0"\n__all__ = []\n')
        (package / "survey" / "__init__.py").touch()
        write_notebook(cls.sound / "nbs" / "survey" / "10_doubling.ipynb", SOUND)
        write_notebook(cls.sound / "nbs" / "index.ipynb", FRONT)
        contents = ["index.ipynb", {"section": "survey", "contents": ["survey/10_doubling.ipynb"]}]
        (cls.sound / "nbs" / "sidebar.yml").write_text(json.dumps({"website": {"sidebar": {"contents": contents}}}))
        (cls.sound / "nbs" / "_quarto.yml").symlink_to("../_quarto.yml")
        shutil.copy(ROOT / "nbs" / "styles.css", cls.sound / "nbs")
        (cls.sound / "nbs" / "references.bib").write_text("@book{krige1951, author = {Krige, D. G.}, title = {Mine valuation}, year = {1951}}\n")
        export = "from nbdev.export import nb_export; nb_export('nbs/survey/10_doubling.ipynb', lib_path='scvae_nb')"
        for step in (("-c", export), ("tools/execute_notebooks.py",), ("tools/build_readme.py",)):
            code, output = run_program(cls.sound, *step)
            assert code == 0, output

    def setUp(self):
        self.project = Path(tempfile.mkdtemp(dir=self.base)) / "project"
        shutil.copytree(self.sound, self.project, symlinks=True)
        self.room = self.project / "nbs" / "survey" / "10_doubling.ipynb"
        self.module = self.project / "scvae_nb" / "survey" / "doubling.py"

    def add_page(self, name, sources, outputs=None, run_time="**Run time:** about 40 seconds on one core."):
        """A page that exports nothing, in the sidebar."""
        write_notebook(self.project / "nbs" / f"{name}.ipynb", ["# A page\n> What it tells.", run_time, *sources], outputs)
        sidebar = self.project / "nbs" / "sidebar.yml"
        listed = json.loads(sidebar.read_text())
        contents = listed["website"]["sidebar"]["contents"]
        if f"{name}.ipynb" not in contents:
            contents.append(f"{name}.ipynb")
            sidebar.write_text(json.dumps(listed))

    def passes(self, tool, *arguments):
        """Run a tool that has to find nothing. Return what it printed."""
        code, output = run(self.project, tool, *arguments)
        self.assertEqual(code, 0, output)
        return output

    def fails(self, tool, *arguments, saying):
        """Run a tool that has to find faults, and to say so in these words."""
        code, output = run(self.project, tool, *arguments)
        self.assertEqual(code, 1, output)
        for words in [saying] if isinstance(saying, str) else saying:
            self.assertIn(words, output)

    def test_run_notebooks(self):
        self.assertTrue(self.passes("run_notebooks", "--coverage", "--slow").endswith("2 passed, 0 failed\n"))
        write_notebook(self.room, [*SOUND, "assert double(1) == 3"])
        self.fails("run_notebooks", saying=["1 passed, 1 failed", "AssertionError", "FAILED"])
        write_notebook(self.room, [*SOUND, "#| slow\nassert double(1) == 3"])
        self.passes("run_notebooks")
        self.fails("run_notebooks", "--slow", saying="1 passed, 1 failed")

    def test_run_notebooks_names_the_slowest(self):
        write_notebook(self.project / "nbs" / "survey" / "20_resting.ipynb", ["import time", "time.sleep(1.5)"])
        output = self.passes("run_notebooks", "--slow", "--workers", "1")
        begun, ranked = ([line for line in output.splitlines() if line.startswith(word)] for word in ("passed", "the slowest:"))
        self.assertIn("survey/10_doubling.ipynb", begun[0])  # its slow cell says that it may take longest, and so it begins first
        self.assertIn("survey/20_resting.ipynb", ranked[0])
        self.assertEqual([len(begun), len(ranked)], [3, 3])

    def test_run_notebooks_meets_the_exported_module(self):
        self.module.write_text(self.module.read_text().replace("2 * x", "3 * x"))
        self.fails("run_notebooks", saying="1 passed, 1 failed")

    def test_run_notebooks_with_nothing_to_run(self):
        write_notebook(self.room, [TITLE, "#| eval: false\nnever()"])
        self.fails("run_notebooks", "nbs/survey", saying=["nothing to run", "0 passed, 0 failed"])

    def test_run_notebooks_with_too_little_covered(self):
        write_notebook(self.room, [source for source in SOUND if "double(" not in source or "export" in source])
        self.module.write_text(self.module.read_text() + "def unused(x):\n" + "    x += 1\n" * 20)
        self.fails("run_notebooks", "--coverage", saying="fail-under")

    def test_run_notebooks_measures_the_quick_cells(self):
        self.module.write_text(self.module.read_text() + "def lengthy(x):\n" + "    x += 1\n" * 20)
        call = "import torch\nfrom scvae_nb.survey.doubling import lengthy\nlengthy(1)"
        write_notebook(self.room, [*SOUND, f"#| slow\n{call}"])
        self.fails("run_notebooks", "--coverage", "--slow", saying="fail-under")
        write_notebook(self.room, [*SOUND, call])  # behind a slow cell it measures again
        self.passes("run_notebooks", "--coverage", "--slow")

    def test_run_notebooks_stops_what_hangs(self):
        write_notebook(self.room, [*SOUND, "while True: pass"])
        self.fails("run_notebooks", "--timeout", "4", "nbs/survey", saying="was stopped after 4 seconds")

    def test_execute_notebooks(self):
        before = self.room.read_bytes()
        self.passes("execute_notebooks")
        self.assertEqual(self.room.read_bytes(), before)
        saved = {2: [{"output_type": "stream", "name": "stdout", "text": ["kept"]}]}
        write_notebook(self.room, [TITLE, "1 + 1", "#| slow\n1 + 2"], saved)
        self.passes("execute_notebooks")
        outputs = [cell["outputs"] for cell in json.loads(self.room.read_text())["cells"][1:]]
        self.assertEqual(outputs[0][0]["data"]["text/plain"], ["2"])
        self.assertEqual(outputs[1], saved[2])
        write_notebook(self.room, [TITLE, "1 + 1", "1 / 0"])
        before = self.room.read_bytes()
        self.fails("execute_notebooks", saying="ZeroDivisionError")
        self.assertEqual(self.room.read_bytes(), before)

    def test_execute_notebooks_tidies(self):
        noise = "import sys, warnings\nprint('\\r 10%|#  |\\r100%|###| 3/3 [00:01<00:00]\\nwords', file=sys.stderr)"
        write_notebook(self.room, [TITLE, noise, "print(sys.prefix, warnings.__file__)"])
        self.passes("execute_notebooks")
        outputs = [cell.get("outputs") for cell in json.loads(self.room.read_text())["cells"]]
        self.assertEqual(outputs[1][0]["text"], ["words\n"])
        self.assertTrue(outputs[2][0]["text"][0].endswith(" warnings.py\n"))

    def test_check_imports(self):
        self.passes("check_imports")
        model = self.project / "scvae_nb" / "model" / "extra.py"
        model.parent.mkdir()
        model.write_text("import torch\nfrom scvae_nb.survey.doubling import double\n")
        self.fails("check_imports", saying="scvae_nb/model/extra.py: no notebook exports it")
        bad = "import torch\nfrom ..model import extra\nfrom scvae_nb import double\nfrom fastcore.all import *\n"
        self.module.write_text(self.module.read_text() + bad)
        self.fails("check_imports", saying=[
            "torch belongs in model and prospectivity alone", "survey may use no other wing", "front door",
            "the package does not use fastcore",
        ])

    def add_room(self, name, text):
        """A room of the survey wing beside `doubling`, and its notebook."""
        write_notebook(self.room.with_name(f"20_{name}.ipynb"), [f"#| default_exp survey.{name}"])
        self.module.with_name(f"{name}.py").write_text(text)

    def test_check_imports_circles(self):
        self.add_room("halving", "from .doubling import double\n")
        self.add_room("thirds", "import scvae_nb.survey.halving\n")
        self.passes("check_imports")
        self.module.write_text(self.module.read_text() + "def late():\n    from . import thirds\n    return thirds\n")
        circle = " -> ".join(f"scvae_nb.survey.{name}" for name in ("doubling", "thirds", "halving", "doubling"))
        self.fails("check_imports", saying=[f"in a circle: {circle}", "imports and rooms: 1 faults"])

    def test_check_imports_private(self):
        self.add_room("halving", "from . import doubling\nfrom .doubling import double\n_half = doubling.__name__\n")
        self.passes("check_imports")
        takes = "private name of another room"
        for text in (
            "from .doubling import _twice\n", "def late():\n    from scvae_nb.survey.doubling import _twice as twice\n",
            "from . import doubling\ndoubling._twice(1)\n", "from . import doubling as other\nuse = other._twice\n",
            "import scvae_nb.survey.doubling\nscvae_nb.survey.doubling._twice(1)\n",
        ):
            self.add_room("halving", text)
            self.fails("check_imports", saying=["survey/halving.py", f"uses scvae_nb.survey.doubling._twice, a {takes}", "imports and rooms: 1 faults"])

    def test_check_imports_private_on_pages(self):
        write_notebook(self.room, [*SOUND, "from scvae_nb.survey.doubling import _twice"])  # its own room: tests may look inside
        self.passes("check_imports")
        self.add_page("tutorials/10_page", ["from scvae_nb.survey.doubling import _twice"])
        self.fails("check_imports", saying="nbs/tutorials/10_page.ipynb: uses scvae_nb.survey.doubling._twice")

    def test_check_imports_front_door(self):
        front = self.project / "scvae_nb" / "__init__.py"
        front.write_text("import torch\n__all__ = ['nobody']\n")
        self.fails("check_imports", saying=["import scvae_nb loads torch", "scvae_nb.nobody cannot be had"])

    def test_check_imports_told(self):
        front = self.project / "scvae_nb" / "__init__.py"
        text = '__all__ = []\nTYPE_CHECKING = False\n_homes = {"double": "survey.doubling"}\nif TYPE_CHECKING:\n    from .survey.doubling import double\n'
        front.write_text(text)
        self.passes("check_imports")
        front.write_text(text.replace("import double", "import halve"))
        self.fails("check_imports", saying=["double is loaded from survey.doubling, and type checkers are told None",
                                            "halve is loaded from None, and type checkers are told survey.doubling"])

    def test_check_imports_rooms(self):
        self.room.rename(self.room.with_name("10_halving.ipynb"))
        self.fails("check_imports", saying="exports survey.doubling, and by its name should export survey.halving")

    def test_build_readme(self):
        self.passes("build_readme", "--check")
        write_notebook(self.project / "nbs" / "index.ipynb", [*FRONT, "See [nothing](survey/20_nothing.ipynb)."])
        self.fails("build_readme", "--check", saying=["out of date", "dead link nbs/survey/20_nothing.ipynb"])
        readme = self.project / "README.md"
        self.assertIn("(nbs/survey/10_doubling.ipynb)", readme.read_text())

    def test_check_site(self):
        self.passes("check_site")
        write_notebook(self.project / "nbs" / "survey" / "20_broken.ipynb", [
            "# Broken\n> One line.\n\nWords that nbdev drops.",
            "See [nobody](30_nobody.ipynb), [no anchor](10_doubling.ipynb#nothing), @fig-none and ![a picture](none.png).",
            "See $\\frac{1}$:\n- a list",
            "1 + 1",
            "import os\nassert os",
            "print('x')",
        ], {5: [{"output_type": "stream", "name": "stdout", "text": ["/home/somebody/file.csv"]}]})
        self.fails("check_site", *IN_ONE_PROCESS, saying=[
            "nbdev drops", "dead link 30_nobody.ipynb", "dead anchor 10_doubling.ipynb#nothing", "@fig-none",
            "missing picture none.png", "Could not convert TeX math", "a list needs an empty line", "cell 3: should show something",
            "cell 4: imports and other code", "names a place of one machine", "leaves out survey/20_broken.ipynb",
        ])

    def test_check_site_pictures(self):
        shown = {2: [picture(b"\x89PNG\r\n\x1a\n")]}
        self.add_page("tutorials/10_page", ["#| fig-alt: \"A map of zinc: high along the river.\"\ndraw = 1"], shown)
        self.passes("check_site", *IN_ONE_PROCESS)
        self.add_page("tutorials/20_none", ["draw = 1"], shown)
        self.add_page("tutorials/30_short", ["#| fig-alt: A map.\ndraw = 1"], shown)
        self.add_page("tutorials/40_no_yaml", ["#| fig-alt: A map: high along the river, low elsewhere.\ndraw = 1"], shown)
        (self.room.parent / "dot.png").write_bytes(b"PNG")
        self.add_page("tutorials/50_linked", ["See ![](../survey/dot.png)."])
        self.fails("check_site", *IN_ONE_PROCESS, saying=[
            "nbs/tutorials/20_none.ipynb cell 2: 1 saved pictures and 0 alternative texts",
            "nbs/tutorials/30_short.ipynb cell 2: an alternative text that says too little: 'A map.'",
            "nbs/tutorials/40_no_yaml.ipynb cell 2: options that are no YAML",
            "nbs/tutorials/50_linked.ipynb: no alternative text of picture ../survey/dot.png", "site: 6 faults",
        ])

    def test_check_site_page_size(self):
        noise = os.urandom(3_100_000)
        self.add_page("tutorials/10_page", ["#| fig-alt: \"Noise, three megabytes of it.\"\ndraw = 1"], {2: [picture(noise)]})
        self.fails("check_site", *IN_ONE_PROCESS, saying="nbs/tutorials/10_page.ipynb: the page has 3.1 MB with its pictures")

    def test_check_site_run_time(self):
        self.add_page("tutorials/10_page", [])
        self.passes("check_site", *IN_ONE_PROCESS)
        self.add_page("tutorials/20_none", [], run_time="See it run: no time given.")
        self.add_page("explanations/30_not_measured", [], run_time="**Run time:** not measured.")
        self.fails("check_site", *IN_ONE_PROCESS, saying=[
            f"nbs/{page}.ipynb: the cell after the title does not begin with the run time"
            for page in ("tutorials/20_none", "explanations/30_not_measured")
        ])

    def test_check_site_several_pictures(self):
        shown = {2: [picture(b"PNG"), picture(b"PNG")]}
        first, second = '"A map of zinc: high along the river."', '"A variogram of zinc: it rises to 900 m."'
        self.add_page("tutorials/10_page", [f"#| fig-alt: [{first}, {second}]\ndraw = 1"], shown)
        self.passes("check_site", *IN_ONE_PROCESS)
        self.add_page("tutorials/10_page", [f"#| fig-alt: {first}\ndraw = 1"], shown)
        self.fails("check_site", *IN_ONE_PROCESS, saying="cell 2: 2 saved pictures and 1 alternative texts")

    def test_check_site_offline(self):
        def html(text):
            return {2: [{"output_type": "display_data", "metadata": {}, "data": {"text/html": text}}]}

        self.add_page("tutorials/10_page", ["draw = 1", "See $\\frac{1}{2}$."],
                      html('<code>$x$</code> costs 5 $, here 6 $ <a href="https://example.com">there</a>'))
        self.passes("check_site", *IN_ONE_PROCESS)
        loading = '<script src="https://example.com/plot.js"></script><img src="//example.com/a.png" alt="a">'
        self.add_page("tutorials/20_loading", ["draw = 1"], html(loading))
        self.add_page("tutorials/30_formulas", ["draw = 1"], html("<p>so $\\sigma^2 = 1$, and $x$</p>"))
        self.fails("check_site", *IN_ONE_PROCESS, saying=[
            "20_loading.ipynb: loads https://example.com/plot.js from a network", "20_loading.ipynb: loads //example.com/a.png from a network",
            "30_formulas.ipynb: a formula that stays TeX: $\\sigma^2 = 1$", "30_formulas.ipynb: a formula that stays TeX: $x$", "site: 4 faults",
        ])

    def test_check_site_notebooks(self):
        error = {"output_type": "error", "ename": "SurveyError", "evalue": "no", "traceback": []}
        self.add_page("explanations/10_page", ["draw = 1"], {2: [error]})
        self.fails("check_site", *IN_ONE_PROCESS, saying="nbs/explanations/10_page.ipynb cell 2: a saved error: SurveyError")
        (self.project / "nbs" / "explanations" / "10_page.ipynb").unlink()
        write_notebook(self.room, SOUND)
        write_notebook(self.project / "nbs" / "survey" / "20_untitled.ipynb", ["See words without a title."])
        self.fails("check_site", *IN_ONE_PROCESS, saying=[
            "nbs/survey/10_doubling.ipynb: no cell has a saved output", "20_untitled.ipynb: the first text cell is no title",
            "nbs/sidebar.yml names explanations/10_page.ipynb, which does not exist",
        ])

    def test_screenshots(self):
        (self.project / "pages").mkdir()
        (self.project / "pages" / "index.html").write_text("<p>hello</p>")
        self.fails("screenshots", "pages", "nothing.html", saying="no such page: pages/nothing.html")
        with unittest.mock.patch.dict(os.environ, PATH=""):
            self.fails("screenshots", "pages", "index.html", saying="no browser; expected one of chromium")
        if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))):
            self.skipTest("no Chromium on the PATH")
        self.passes("screenshots", "pages", "index.html", "--size", "300,200")
        drawn = (self.project / "pages" / "screenshots" / "index.png").read_bytes()
        self.assertEqual([int.from_bytes(drawn[at : at + 4], "big") for at in (16, 20)], [300, 200])

    def test_check_site_citations(self):
        self.add_page("explanations/10_page", ["See [@krige1951], and what @krige1951 said."])
        self.passes("check_site", *IN_ONE_PROCESS)
        self.add_page("explanations/10_page", ["See [@krige1951; @krige1952]."])
        self.fails("check_site", *IN_ONE_PROCESS, saying=["citation krige1952 not found", "nbs/explanations/10_page.ipynb: unresolved reference @krige1952"])

    def test_check_site_settings(self):
        settings = self.project / "_quarto.yml"
        text = settings.read_text()
        for words, instead in (
            ("html-math-method: mathml", "html-math-method: mathjax"), ("search: true", "search: false"),
            ("bibliography: references.bib", "bibliography: others.bib"),
        ):
            self.assertIn(words, text)
            text = text.replace(words, instead)
        settings.write_text(text)
        self.fails("check_site", *IN_ONE_PROCESS, saying=[
            "html-math-method is not mathml", "the navbar has no search", "the bibliography is 'others.bib'", "site: 3 faults",
        ])

    def test_check_site_widths_and_headings(self):
        for name, words, instead, saying in (
            ("_quarto.yml", "code-overflow: wrap", "code-overflow: scroll", "code-overflow is not wrap"),
            ("_quarto.yml", "body-width: 920px", "margin-width: 250px", "grid has no body-width"),
            ("_quarto.yml", "collapse-level: 1", "collapse-level: 2", "collapse-level is not 1"),
            ("nbs/styles.css", "text-align: right", "text-align: left", "headings stand over the wrong columns"),
            ("nbs/styles.css", "white-space: pre-wrap", "white-space: pre", "long printed lines are cut"),
        ):
            file = self.project / name
            sound = file.read_text()
            self.assertIn(words, sound)
            file.write_text(sound.replace(words, instead))
            self.fails("check_site", saying=saying)
            file.write_text(sound)
        (self.project / "nbs" / "styles.css").unlink()
        self.fails("check_site", saying=["headings stand over", "long printed lines"])

    def test_check_site_keeps_pages(self):
        self.add_page("tutorials/10_page", ["#| echo: false\n#| fig-alt: \"A map of zinc: high along the river.\"\nsecret = 1",
                                            "See [doubling](../survey/10_doubling.ipynb#double) and $x^2$ [@krige1951]."], {2: [picture(b"PNG")]})
        self.passes("check_site", "--keep", "kept")
        page = (self.project / "kept" / "tutorials" / "page.html").read_text()
        for words in ('href="../survey/doubling.html#double"', "<math", 'alt="A map of zinc: high along the river."', "Mine Valuation", "<h1>A page</h1>"):
            self.assertIn(words, page)
        self.assertNotIn("secret", page)
        self.assertNotIn("></code>", page)  # the box of a cell whose code is not shown
        self.assertEqual((self.project / "kept" / "tutorials" / "10_page_files" / "figure-1.png").read_bytes(), b"PNG")
        self.assertIn("hello", (self.project / "kept" / "index.html").read_text())

    def test_check_site_when_nbdev_fails(self):
        write_notebook(self.room, [*SOUND[:4], "#| hide\nimport a_module_that_nobody_has"])
        self.fails("check_site", saying="nbdev cannot process the notebooks")

    def test_check_output(self):
        folder = self.project / "result"
        (folder / "figures").mkdir(parents=True)
        (folder / "figures" / "map.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (folder / "model.scvae").write_text("x")
        (folder / "denoised.csv").write_text("zinc_denoised\n1.5\n")
        (folder / "report.html").write_text('<img src="data:image/png;base64,AA"><a href="#top">')
        self.passes("check_output", "result")
        (folder / "denoised.csv").write_text("zinc_denoised\ninf\n")
        (folder / "report.html").write_text('<script src="https://example.com/x.js"></script>')
        (folder / "model.scvae").unlink()
        self.fails("check_output", "result", saying=["not finite", "report.html needs", "no picture", "missing or empty"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
