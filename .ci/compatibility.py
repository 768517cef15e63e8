"""Whether the schemas keep what every released version promised; see docs/contract.md.

``python .ci/compatibility.py``         judges topics/schemas against topics/schemas/released; 1: something breaks
``python .ci/compatibility.py kept``    1: the schemas of the version in pyproject.toml are not kept, or are others
``python .ci/compatibility.py keep``    keeps them; a version that is kept already is never overwritten
"""

import shutil
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
# A program has its own folder on the path; what it judges is this tree's, whatever is installed.
sys.path[:0] = [str(ROOT), str(ROOT / "clients" / "python")]

from tests.compatibility.releases import breaks, read, released  # noqa: E402 - see above

SCHEMAS: Final = ROOT / "topics" / "schemas"


def check() -> int:
    """Judge, and print what breaks; the exit code."""
    versions = released(SCHEMAS)
    found = breaks(read(SCHEMAS), versions)
    for one in found:
        print(one)
    if found:
        print(f"error: {len(found)} breaks of the contract; docs/contract.md says what is allowed", file=sys.stderr)
        return 1
    print(f"the schemas are compatible with {', '.join(versions)}")
    return 0


def kept(*, keep: bool) -> int:
    """Compare the schemas with the kept ones of the same version, or keep them; the exit code."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    folder = SCHEMAS / "released" / version
    if keep and not folder.exists():
        folder.mkdir()
        for file in SCHEMAS.glob("*.json"):
            shutil.copy(file, folder)
    if not folder.exists():
        print(f"error: {folder} is missing: python .ci/compatibility.py keep", file=sys.stderr)
        return 1
    if read(folder) != read(SCHEMAS):
        print(f"error: the schemas differ from those in {folder}: raise the version", file=sys.stderr)
        return 1
    print(f"the schemas of {version} are kept")
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            sys.exit(check())
        case ["kept" | "keep" as verb]:
            sys.exit(kept(keep=verb == "keep"))
        case _:
            sys.exit(__doc__)
