"""Plots as SVG text: pure functions of numbers. Colours are the page's, by class."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from torchnotes_kb.evaluation.measures import Bin, Interval

__all__ = ["bars", "histogram", "reliability_plot", "trade_off_plot"]

LABEL, BAR, ROW = 140, 190, 26
"""Widths of labels and of the longest bar, height of a row, in SVG units."""
SIDE, EDGE = 300, 44
"""Of a square plot, and of the margin its labels stand in."""


def bars(rows: Sequence[tuple[str, Interval]], *, title: str) -> str:
    """A bar with its 95% interval for each row, on a scale from 0 to 1."""
    parts = []
    for number, (name, value) in enumerate(rows):
        middle = number * ROW + ROW / 2
        low, high, end = (LABEL + BAR * share for share in (value.low, value.high, value.mean))
        parts += [
            _text(LABEL - 8, middle + 4, name, anchor="end"),
            f'<rect class="track" x="{LABEL}" y="{middle - 8}" width="{BAR}" height="16" rx="3"/>',
            (
                f'<rect class="bar" x="{LABEL}" y="{middle - 8}" width="{end - LABEL:.1f}" '
                f'height="16" rx="3"/>'
            ),
            (
                f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}'
                f"M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"
                f'"/>'
            ),
            _text(LABEL + BAR + 10, middle + 4, f"{value.mean:.3f}", kind="value"),
        ]
    return _svg(LABEL + BAR + 50, max(1, len(rows)) * ROW, title, parts)


def reliability_plot(bins: Sequence[Bin]) -> str:
    """Stated probability against the share that was right; circles as large as they count."""
    parts = _square("stated probability", "share right")
    parts.append(f'<path class="ideal" d="M{EDGE} {SIDE}L{EDGE + SIDE} 0"/>')
    most = max((each.count for each in bins), default=1)
    points = [(EDGE + SIDE * each.stated, SIDE * (1 - each.right), each) for each in bins]
    parts.append(_line([(x, y) for x, y, _ in points]))
    for x, y, each in points:
        radius = 4 + 8 * (each.count / most) ** 0.5
        below = y + radius + 12 if y < SIDE / 2 else y - radius - 4
        said = f"{each.count} queries: stated {each.stated:.3f}, right {each.right:.3f}"
        parts.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">'
            f"<title>{said}</title></circle>"
        )
        parts.append(_text(x, below, str(each.count), anchor="middle", kind="value"))
    return _svg(EDGE + SIDE + 20, SIDE + EDGE, "Calibration", parts, top=26)


def trade_off_plot(
    points: Sequence[tuple[float, float, float]], *, in_force: tuple[float, float, float]
) -> str:
    """Refused against falsely answered, both up to 20%, over thresholds.

    Args:
        points: Threshold, share refused, share answered falsely; in the order of thresholds.
        in_force: The one that the search uses.
    """
    most = 0.2

    def place(refused: float, false: float) -> tuple[float, float]:
        return EDGE + SIDE * refused / most, SIDE * (1 - false / most)

    shown = [place(r, f) for _, r, f in points if r <= most and f <= most]
    threshold, refused, false = in_force
    x, y = place(min(refused, most), min(false, most))
    parts = [
        *_square("answerable ones refused", "unanswerable ones answered", most=most),
        _line(shown),
        (
            f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="6">'
            f"<title>threshold {threshold:.3f}: "
            f"refused {refused:.3f}, answered falsely {false:.3f}</title></circle>"
        ),
        _text(x + 12, y - 8, f"{threshold:.3f} in force", kind="value"),
    ]
    return _svg(EDGE + SIDE + 20, SIDE + EDGE, "Abstention", parts, top=26)


def histogram(values: Sequence[float], *, marks: Sequence[tuple[str, float]], unit: str) -> str:
    """Counts in thirty bins of equal width up to the last mark, with named marks.

    What lies beyond the last bin is counted into it.
    """
    width, height, count = 560.0, 180.0, 30
    end = max([value for _, value in marks], default=1.0) * 1.5 or 1.0
    bins = [0] * count
    for value in values:
        bins[min(int(value / end * count), count - 1)] += 1
    most = max(bins) or 1
    step = width / count
    parts = [
        f'<rect class="bar" x="{n * step + 1:.1f}" y="{height * (1 - c / most):.1f}" '
        f'width="{step - 2:.1f}" height="{height * c / most:.1f}"><title>{c}</title></rect>'
        for n, c in enumerate(bins)
        if c
    ]
    for line, (name, value) in enumerate(marks):
        x = width * value / end
        parts += [
            f'<path class="whisker" d="M{x:.1f} 0V{height}"/>',
            _text(x + 5, 10 + 15 * line, f"{name} {value:.1f} {unit}", kind="value"),
        ]
    parts.append(f'<path class="axis" d="M0 {height}H{width}"/>')
    for share in (0.0, 0.5, 1.0):
        anchor = {0.0: "start", 0.5: "middle", 1.0: "end"}[share]
        more = "+" if share == 1 else ""
        said = f"{end * share:.0f}{more} {unit}"
        parts.append(_text(width * share, height + 18, said, anchor=anchor))
    return _svg(width, height + 24, "Latency", parts, top=4)


def _square(across: str, upward: str, *, most: float = 1.0) -> list[str]:
    parts = [f'<rect class="track" x="{EDGE}" y="0" width="{SIDE}" height="{SIDE}"/>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        said = f"{share * most * 100:.0f}%"
        x, y = EDGE + SIDE * share, SIDE * (1 - share)
        parts += [
            f'<path class="grid" d="M{x} 0V{SIDE}M{EDGE} {y}H{EDGE + SIDE}"/>',
            _text(x, SIDE + 16, said, anchor="middle"),
            _text(EDGE - 6, y + 4, said, anchor="end"),
        ]
    middle = EDGE + SIDE / 2
    parts.append(_text(middle, SIDE + 36, across, anchor="middle", kind="name"))
    parts.append(_text(EDGE, -12, upward, kind="name"))
    return parts


def _line(points: Sequence[tuple[float, float]]) -> str:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="curve" d="M{path}"/>' if points else ""


def _text(x: float, y: float, said: str, *, anchor: str = "start", kind: str = "label") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(said)}</text>'


def _svg(width: float, height: float, title: str, parts: Sequence[str], *, top: float = 0) -> str:
    box = f"0 {-top} {width:g} {height + top:g}"
    return (
        f'<svg viewBox="{box}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
