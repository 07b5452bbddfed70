"""Draw pages of the site as pictures, to be looked at: tools/check_site.py makes the pages, Chromium draws them without a network.

    python tools/check_site.py --keep pages
    python tools/screenshots.py pages [--size 1200,2400] [index.html ...]

The pictures are written to pages/screenshots. Exits 1 without a browser, a page or a picture.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGES = ["index.html", "tutorials/first_denoise.html", "survey/table.html"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def draw(browser, page, picture, size):
    """Draw one page. Return what is wrong, or None."""
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}", f"--window-size={size}",
                   "--host-resolver-rules=MAP * ~NOTFOUND", f"--screenshot={picture.resolve()}", page.resolve().as_uri()]
        if os.geteuid() == 0:  # Chromium refuses a sandbox to root, as in a container
            command.insert(1, "--no-sandbox")
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return f"{page}: the browser took more than 120 seconds"
    return None if run.returncode == 0 and picture.is_file() else f"{page}: no picture: {run.stderr.strip()[-500:]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the pages that check_site.py --keep wrote")
    parser.add_argument("pages", nargs="*", default=PAGES, help=f"paths in that folder (default: {' '.join(PAGES)})")
    parser.add_argument("--size", default="1200,2400", help="width and height in pixels (default: %(default)s)")
    options = parser.parse_args()
    absent = [options.folder / page for page in options.pages if not (options.folder / page).is_file()]
    for page in absent:
        print(f"no such page: {page}. Make the pages with tools/check_site.py --keep")
    if absent:
        return 1
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"no browser; expected one of {', '.join(BROWSERS)} on the PATH")
        return 1
    pictures = options.folder / "screenshots"
    faults = []
    for page in options.pages:
        picture = pictures / f"{page.removesuffix('.html').replace('/', '-')}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.unlink(missing_ok=True)  # an old picture proves nothing
        fault = draw(browser, options.folder / page, picture, options.size)
        print(fault or picture)
        faults += [fault] if fault else []
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
