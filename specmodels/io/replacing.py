"""Files are written under a temporary name and then moved to the target: never half of one."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing"]


@contextmanager
def replacing(path):
    """Give a temporary path beside `path`, of the same name; what was written there replaces it.

    Nothing is left behind, and an older file stays as it is, where writing fails.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".specmodels-") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        os.replace(temporary, path)
