"""Check what `scvae-nb denoise ... -o DIR` left behind: the files are there, whole, and hold finite numbers.

    python tools/check_output.py DIR
"""
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

_LAYERS = r"_(denoised|signal|std_\w+|lower_\d+|upper_\d+)$"
_PNG = b"\x89PNG\r\n\x1a\n"
_OUTSIDE = re.compile(r"""(?:src|href)\s*=\s*["'](?!data:|#|https://doi\.org/)([^"']+)""")


def check(folder):
    """Yield what is wrong in the output folder."""
    pictures = sorted((folder / "figures").glob("*.png"))
    expected = [folder / name for name in ("denoised.csv", "model.scvae", "report.html")]
    yield from (f"{path.name} is missing or empty" for path in expected if not path.is_file() or not path.stat().st_size)
    if not pictures:
        yield "figures/ holds no PNG picture"
    yield from (f"{path.name} is no PNG picture" for path in pictures if not path.read_bytes().startswith(_PNG))
    if (folder / "denoised.csv").is_file():
        numbers = pd.read_csv(folder / "denoised.csv").select_dtypes("number").filter(regex=_LAYERS)  # other columns of the survey may have gaps
        finite = np.isfinite(numbers.to_numpy()).all(axis=0)
        if numbers.empty:
            yield "denoised.csv holds no numbers"
        yield from (f"denoised.csv: column {name} is not finite everywhere" for name in numbers.columns[~finite])
    if (folder / "report.html").is_file():
        report = (folder / "report.html").read_text(encoding="utf-8")
        yield from (f"report.html needs {link}, which it does not hold" for link in _OUTSIDE.findall(report))
        if "data:image/png;base64," not in report:
            yield "report.html holds no picture"


def main():
    faults = list(check(Path(sys.argv[1])))
    print(*faults, f"{sys.argv[1]}: {len(faults)} faults" if faults else f"{sys.argv[1]}: complete and finite", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
