"""The programs that docs/subscribers.md shows."""

import re

from tests.inputs.repository import ROOT

PAGE = (ROOT / "docs" / "subscribers.md").read_text(encoding="utf-8")

PROGRAMS = dict(re.findall(r"^```python\n# ([a-z_]+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
"""By the name of the file that each begins with."""
