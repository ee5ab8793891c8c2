"""Where an optimization that can go on after a crash keeps what it has."""

import re
import shutil
import stat
import tempfile
import time
from os import getuid
from pathlib import Path

from dspy_sidecar.log import logger

OLD_S = 24 * 3600
NAMES = re.compile(r"[A-Za-z0-9-]{1,64}")


class Folders:
    """One for each optimization, which nobody else can read or write: a state in it is trusted.

    Args:
        work_dir: Of the operator's; a private one below the temporary files where None.

    """

    def __init__(self, work_dir: Path | None) -> None:
        self._work_dir = work_dir or Path(tempfile.gettempdir()) / f"sigrun-sidecar-{getuid()}"
        # Anybody may have made that one before us; the operator's is the operator's.
        self._checked = [] if work_dir else [self._work_dir]

    def of(self, optimization_id: str) -> Path | None:
        """The folder of an optimization; None, and a warning, where it can't be made or would not be ours alone."""
        if not NAMES.fullmatch(optimization_id):
            return None
        root = self._work_dir / "optimizations"
        try:
            self._work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (*self._checked, root, root / optimization_id):
                folder.mkdir(mode=0o700, exist_ok=True)
                check(folder)
            self._sweep(root)
        except OSError as error:
            logger.warning(
                "an optimization can't go on after a crash", extra={"fields": {"error": str(error)}}
            )
            return None
        return root / optimization_id

    def remove(self, folder: Path) -> None:
        """It is not needed any more."""
        shutil.rmtree(folder, ignore_errors=True)

    def _sweep(self, root: Path) -> None:
        for folder in root.iterdir():
            if time.time() - folder.lstat().st_mtime > OLD_S:
                self.remove(folder)


def check(folder: Path) -> None:
    """PermissionError where a folder is somebody else's, or open to others."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a private folder of this user's")
