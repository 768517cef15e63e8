"""The files of the repository, in a clone and in an unpacked source distribution."""

import os
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

_MADE: Final = {"PKG-INFO", ".coverage"}
_MADE_FOLDERS: Final = {"__pycache__", "build", "dist", "node_modules", "target", "venv"}
_COMPILED: Final = {".pyc", ".so"}
"""What is made beside the files: git ignores it (``.gitignore``), or the build backend adds it."""


def committed_files() -> list[Path]:
    """List the files of the repository that git knows, without deleted files.

    An unpacked source distribution has no git: there all its files are listed, relative to the root as well.
    """
    if not (ROOT / ".git").exists():
        return _unpacked_files()
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [Path(name) for name in listing.split("\0") if name]
    return [file for file in files if (ROOT / file).is_file()]


def _unpacked_files() -> list[Path]:
    found = []
    for folder, folders, names in os.walk(ROOT):
        # Hidden folders are caches and environments, but for the one with CI's programs.
        folders[:] = [one for one in folders if one == ".ci" or not (one.startswith(".") or one in _MADE_FOLDERS)]
        files = (Path(folder, name).relative_to(ROOT) for name in names if name not in _MADE)
        found += [file for file in files if file.suffix not in _COMPILED]
    return sorted(found)
