"""Horizontal bars as SVG: small enough to read as text, and drawn without a plotting library."""

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

__all__ = ["Bar", "bar_chart"]

_WIDTH = 760
_LABEL_WIDTH = 250
_VALUE_WIDTH = 100
_BAR = 20
_GAP = 8
_TOP = 46
_OURS = "#2f6f9f"
_THEIRS = "#b8c4cc"


class Bar(NamedTuple):
    """One bar: its label, its length, what to write beside it, and whether it is this project's."""

    label: str
    value: float
    text: str
    ours: bool


def bar_chart(title: str, bars: Sequence[Bar]) -> str:
    """An SVG document; bars start at zero and share one linear scale."""
    height = _TOP + len(bars) * (_BAR + _GAP) + _GAP
    longest = max((bar.value for bar in bars), default=0) or 1
    room = _WIDTH - _LABEL_WIDTH - _VALUE_WIDTH
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
            f'height="{height}" '
            'font-family="system-ui, sans-serif" font-size="13" role="img">'
        ),
        f"<title>{escape(title)}</title>",
        # A page may be dark.
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="26" font-size="15" font-weight="600" fill="#1f2a30">{escape(title)}</text>',
    ]
    for number, bar in enumerate(bars):
        y = _TOP + number * (_BAR + _GAP)
        middle = y + _BAR / 2 + 5
        length = max(1.0, bar.value / longest * room)
        weight = ' font-weight="600"' if bar.ours else ""
        lines += [
            (
                f'<text x="{_LABEL_WIDTH - 8}" y="{middle:.0f}" text-anchor="end" fill="#1f2a30"{weight}>'
                f"{escape(bar.label)}</text>"
            ),
            (
                f'<rect x="{_LABEL_WIDTH}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2" '
                f'fill="{_OURS if bar.ours else _THEIRS}"/>'
            ),
            (
                f'<text x="{_LABEL_WIDTH + length + 6:.1f}" y="{middle:.0f}" fill="#1f2a30"{weight}>'
                f"{escape(bar.text)}</text>"
            ),
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
