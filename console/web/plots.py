"""Small plots drawn by the server: the numbers become places in a drawing, templates draw them as SVG.

Every plot has its numbers in words beside it, so a drawing never says something alone. A drawing is stretched to the
room there is; text stays outside of it. Places are strings with a point, as SVG reads them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from console.evals.drift import OVERRIDES
from console.evals.figures import FOR_HALF, FOR_MOST, FOR_SHARE, Column, Share, Spread
from console.web.rendering import duration, number

WIDTH = 300
"""Of every drawing, in its own units."""
HEIGHT = 60
FASTEST, SLOWEST = 0.01, 864_000.0
"""The ends of the scale of times, which is logarithmic: ten milliseconds, ten days."""
GAP = "\N{NO-BREAK SPACE}"
TICKS = (("1 s", 1.0), ("1 min", 60.0), ("1 h", 3600.0), ("1 day", 86_400.0))


@dataclass(frozen=True)
class ShareShown:
    """A share in words, and as a bar on a scale from 0 to 100 %: `bar` x and width, `mark` x.

    `told` is the rate, or that there is too little data; `detail` always holds n.
    """

    title: str
    told: str
    detail: str
    enough: bool
    bar: tuple[str, str]
    mark: str
    help: str = ""


@dataclass(frozen=True)
class SpreadShown:
    """A latency in words, and as a bar from the median to the 95th percentile: x and width, None without either."""

    title: str
    told: str
    detail: str
    bar: tuple[str, str] | None
    help: str = ""


@dataclass(frozen=True)
class Bar:
    """One part of a column: its class, place and size."""

    kind: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Columns:
    """Columns of what was proposed; `told` says the same in words."""

    bars: tuple[Bar, ...]
    highest: int
    told: str


@dataclass(frozen=True)
class Line:
    """A line of levels below the level at which it alarms; `points` as SVG's polyline has them, `limit` its y."""

    points: str
    limit: str
    told: str


def percent(share: float) -> str:
    """A share in percent: with one decimal below ten."""
    value = 100 * share
    return f"{number(f'{value:.1f}') if 0 < value < 10 else round(value)}\N{NO-BREAK SPACE}%"  # noqa: PLR2004 as the docstring says


def share(title: str, found: Share, of: str, what: str = "") -> ShareShown:
    """A share, ready to be shown. `of` names what n counts, such as "decided"."""
    if not found.enough:
        return ShareShown(
            title,
            "Insufficient data",
            f"{number(found.count)} of {number(found.n)} {of}; a rate is told from {FOR_SHARE} on",
            enough=False,
            bar=("0", "0"),
            mark="0",
            help=what,
        )
    low, high = math.floor(100 * found.low), math.ceil(100 * found.high)
    return ShareShown(
        title,
        percent(found.rate),
        f"{number(found.count)} of {number(found.n)} {of}, {low} to {high}{GAP}% with 95{GAP}% confidence",
        enough=True,
        bar=(_place(found.low * WIDTH), _place(max(2.0, (found.high - found.low) * WIDTH))),
        mark=_place(min(found.rate * WIDTH, WIDTH - 3)),
        help=what,
    )


def spread(title: str, found: Spread, what: str = "") -> SpreadShown:
    """A latency, ready to be shown."""
    if found.half is None:
        few = f"{number(found.n)} measured; a median is told from {FOR_HALF} on"
        return SpreadShown(title, "Insufficient data", few, None, what)
    half = time(found.half)
    if found.most is None:
        few = f"half within {half}; n = {number(found.n)}, 95 of 100 is told from {FOR_MOST} on"
        return SpreadShown(title, half, few, (_on_scale(found.half), "4"), what)
    begin, end = float(_on_scale(found.half)), float(_on_scale(found.most))
    return SpreadShown(
        title,
        half,
        f"half within {half}, 95 of 100 within {time(found.most)}; n = {number(found.n)}",
        (_place(begin), _place(max(4.0, end - begin))),
        what,
    )


def ticks() -> list[tuple[str, str]]:
    """The lines of the scale of times: words, x."""
    return [(name, _on_scale(value)) for name, value in TICKS]


def columns(found: Sequence[Column], days: int) -> Columns:
    """Columns over the window, the bad part of each at its foot."""
    highest = max((one.proposed for one in found), default=0)
    step = WIDTH / max(1, len(found))
    bars = []
    for place, one in enumerate(found):
        base = float(HEIGHT)
        rest = max(0, one.proposed - one.wrong - one.overridden)
        for kind, count in (("wrong", one.wrong), ("overridden", one.overridden), ("rest", rest)):
            height = count / highest * (HEIGHT - 2) if highest else 0.0
            if count:
                base -= height
                bars.append(Bar(kind, _place(place * step), _place(base), _place(step * 0.8), _place(height)))
    total, wrong, over = (
        sum(getattr(one, name) for one in found) for name in ("proposed", "wrong", "overridden")
    )
    told = (
        f"In {days} days {number(total)} proposed, of which {number(wrong)} with an error and "
        f"{number(over)} overridden; at most {number(highest)} in one column."
    )
    return Columns(tuple(bars), highest, told)


def level(levels: Sequence[float]) -> Line | None:
    """The override chart's way; None before there are two points."""
    if len(levels) < 2:  # noqa: PLR2004 a line has two ends
        return None
    top = max(OVERRIDES.threshold * 1.15, *levels)
    step = WIDTH / (len(levels) - 1)
    points = " ".join(
        f"{_place(place * step)},{_place(HEIGHT - 1 - value / top * (HEIGHT - 4))}"
        for place, value in enumerate(levels)
    )
    return Line(
        points,
        _place(HEIGHT - 1 - OVERRIDES.threshold / top * (HEIGHT - 4)),
        f"Now at {levels[-1]:.1f}; the alarm is at {OVERRIDES.threshold:.0f}. Each override lifts it, each agreement"
        " lowers it a little.",
    )


def time(seconds: float) -> str:
    """How long, in the unit a person thinks in: "40 ms", "3.2 s", "12 min", "6 h"."""
    if seconds < 1:
        return f"{round(1000 * seconds)}\N{NO-BREAK SPACE}ms"
    if seconds < 120:  # noqa: PLR2004 from two minutes on in minutes
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s" if seconds < 10 else f"{round(seconds)}\N{NO-BREAK SPACE}s"  # noqa: PLR2004
    return duration(seconds)


def _on_scale(seconds: float) -> str:
    kept = min(max(seconds, FASTEST), SLOWEST)
    return _place(math.log(kept / FASTEST) / math.log(SLOWEST / FASTEST) * WIDTH)


def _place(value: float) -> str:
    return f"{value:.1f}"
