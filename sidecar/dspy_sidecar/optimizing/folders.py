"""Folders in which optimizers save their progress, to resume after a crash."""

import re
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from os import getuid
from pathlib import Path

from dspy_sidecar.log import logger

MAX_AGE_S = 24 * 3600
ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Folders:
    """A private folder for each optimization, since optimizers trust the states in it.

    Args:
        work_dir: The operator's folder; if None, a private one in the folder of temporary files.

    """

    def __init__(self, work_dir: Path | None) -> None:
        self._work_dir = work_dir or Path(tempfile.gettempdir()) / f"sigrun-sidecar-{getuid()}"
        # Another user may have made the temporary folder first; the operator's needs no check.
        self._checked = [] if work_dir else [self._work_dir]

    def of(self, optimization_id: str) -> Path | None:
        """The folder of an optimization.

        None, with a warning in the log, if the folder can't be made or is not private; None also
        for an id that can't be a file's name.
        """
        if not ID.fullmatch(optimization_id):
            return None
        root = self._work_dir / "optimizations"
        try:
            self._work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (*self._checked, root, root / optimization_id):
                folder.mkdir(mode=0o700, exist_ok=True)
                check_private(folder)
            self._remove_old(root)
        except OSError as error:
            logger.warning(
                "an optimization can't go on after a crash", extra={"fields": {"error": str(error)}}
            )
            return None
        return root / optimization_id

    def remove_old(self) -> None:
        """Removes the folders of optimizations that nobody has resumed for MAX_AGE_S."""
        with suppress(OSError):
            self._remove_old(self._work_dir / "optimizations")

    def remove(self, folder: Path) -> None:
        """Removes the folder of an optimization that has ended."""
        shutil.rmtree(folder, ignore_errors=True)

    def _remove_old(self, root: Path) -> None:
        for folder in root.iterdir():
            if time.time() - folder.lstat().st_mtime > MAX_AGE_S:
                self.remove(folder)


def check_private(folder: Path) -> None:
    """Raises PermissionError if another user owns the folder or has access to it."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} must be a private folder of this user (mode 0700)")
