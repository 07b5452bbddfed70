"""Tables of results in tidy form: rows of a run over older ones of the same run."""
import fcntl
import os

import numpy as np
import pandas as pd


def read_results(path, columns=()):
    """The rows that are there; an empty table with these columns if there is none."""
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=list(columns))


def write_results(path, key, rows):
    """Put the rows of a run in the table, over older ones. The file is replaced whole, so that it is never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # two of these commands may run at a time
        table, there = pd.DataFrame(rows), read_results(path)
        if len(there):
            same = np.logical_and.reduce([there[name] == value for name, value in key.items()])
            table = pd.concat([there[~same], table], ignore_index=True)
        draft = path.with_suffix(f".{os.getpid()}")
        table.to_csv(draft, index=False, float_format="%.6g")
        os.replace(draft, path)
    finally:
        os.close(folder)
