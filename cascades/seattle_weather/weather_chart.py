"""The picture: two panels over one time axis, as SVG, with nothing but text formatting."""

from datetime import date, timedelta
from html import escape

WIDTH, HEIGHT = 1040, 640
LEFT, RIGHT = 66, 1014  # the panels' edges
RAIN_TOP, RAIN_BOTTOM = 104, 314
HEAT_TOP, HEAT_BOTTOM = 382, 592
MEAN_DAYS = 31  # the running mean's window: a month, so that weeks of weather don't hide the season

INK, FAINT, GRID = "#1f2933", "#66727f", "#e3e8ee"
RAIN, RAIN_MOST, HEAT, MEAN, DRY = "#4a8fc7", "#1d5c91", "#f3b48b", "#c2521b", "#f6eccb"


def draw(days: list[dict], months: list[dict], spells: list[dict]) -> str:
    """The SVG. `days` are in order; `months` and `spells` are what the phases before made of them."""
    axis = _TimeAxis(_day(days[0]["date"]), _day(days[-1]["date"]) + timedelta(days=1))
    span = f"{axis.first.isoformat()} to {(axis.end - timedelta(days=1)).isoformat()}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="Helvetica, Arial, \'DejaVu Sans\', sans-serif" font-size="13" role="img">',
        f"<title>Seattle weather, {span}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 36, "Seattle weather", size=22, weight="bold"),
        _text(LEFT, 58, f"{span}, measured daily", fill=FAINT),
        *_dry_spell(axis, spells),
        *_rain(axis, months),
        *_heat(axis, days),
        *_years(axis),
        _text(RIGHT, HEIGHT - 10, "Data: NOAA", anchor="end", size=11, fill=FAINT),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _TimeAxis:
    """Dates to pixels; `end` is the day after the last."""

    def __init__(self, first: date, end: date) -> None:
        self.first, self.end = first, end

    def x(self, day: date) -> float:
        return LEFT + (day - self.first).days / (self.end - self.first).days * (RIGHT - LEFT)


class _Scale:
    """Values to pixels between `top` and `bottom`, with round steps from `low` to `high`."""

    def __init__(self, low: float, high: float, top: float, bottom: float) -> None:
        self.step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10_000) if (high - low) / step <= 6)
        self.low = low // self.step * self.step
        self.high = -(-high // self.step) * self.step or self.step
        self.top, self.bottom = top, bottom

    def y(self, value: float) -> float:
        return self.bottom - (float(value) - self.low) / (self.high - self.low) * (self.bottom - self.top)

    def lines(self) -> list[str]:
        """Grid lines, each with its number."""
        parts = []
        for at in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + at * self.step
            y = self.y(value)
            stroke = "#aab4bf" if value == 0 else GRID
            parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}" stroke="{stroke}"/>')
            parts.append(
                _text(LEFT - 9, y + 4.5, f"{value:g}".replace("-", "\N{MINUS SIGN}"), anchor="end", fill=FAINT)
            )
        return parts


def _rain(axis: _TimeAxis, months: list[dict]) -> list[str]:
    """A bar for each month, the highest with its number."""
    most = max(months, key=lambda month: month["precipitation"])
    scale = _Scale(0, most["precipitation"], RAIN_TOP, RAIN_BOTTOM)
    parts = [_text(LEFT, RAIN_TOP - 14, "Precipitation, mm per month", weight="bold"), *scale.lines()]
    for month in months:
        first = date(month["year"], month["month"], 1)
        left, right = axis.x(max(first, axis.first)), axis.x(min(_next_month(first), axis.end))
        y, gap = scale.y(month["precipitation"]), min(1.5, (right - left) / 6)
        fill = RAIN_MOST if month is most else RAIN
        parts.append(
            f'<rect x="{left + gap:.1f}" y="{y:.1f}" width="{right - left - 2 * gap:.1f}" height="{RAIN_BOTTOM - y:.1f}" '
            f'fill="{fill}"><title>{first:%B %Y}: {month["precipitation"]:.1f} mm</title></rect>'
        )
        if month is most:
            label = f"{first:%B %Y}: {month['precipitation']:.1f} mm"
            parts.append(_label((left + right) / 2, y - 6, label, fill=RAIN_MOST))
    return parts


def _heat(axis: _TimeAxis, days: list[dict]) -> list[str]:
    """A stroke from each day's minimum to its maximum, and the running mean of the two."""
    low, high = min(days, key=lambda day: day["temp_min"]), max(days, key=lambda day: day["temp_max"])
    scale = _Scale(float(low["temp_min"]), float(high["temp_max"]), HEAT_TOP, HEAT_BOTTOM)
    width = max(1.0, (RIGHT - LEFT) / len(days))
    strokes = " ".join(
        f"M{axis.x(_day(day['date'])) + width / 2:.1f} {scale.y(day['temp_min']):.1f}V{scale.y(day['temp_max']):.1f}"
        for day in days
    )
    points = " ".join(f"{axis.x(day) + width / 2:.1f},{scale.y(value):.1f}" for day, value in _running_mean(days))
    title = f"Temperature, °C: each day's range, and its mean over {MEAN_DAYS} days"
    return [
        _text(LEFT, HEAT_TOP - 14, title, weight="bold"),
        *scale.lines(),
        f'<path d="{strokes}" stroke="{HEAT}" stroke-width="{width:.2f}" fill="none"/>',
        f'<polyline points="{points}" fill="none" stroke="{MEAN}" stroke-width="2" stroke-linejoin="round"/>',
        _extreme(axis, scale, high, "temp_max", above=True),
        _extreme(axis, scale, low, "temp_min", above=False),
    ]


def _extreme(axis: _TimeAxis, scale: _Scale, day: dict, name: str, *, above: bool) -> str:
    """A dot and a label on the hottest or the coldest day."""
    when = _day(day["date"])
    x, y = (axis.x(when) + axis.x(when + timedelta(days=1))) / 2, scale.y(day[name])
    label = f"{float(day[name]):.1f} °C on {when.isoformat()}".replace("-", "\N{MINUS SIGN}", 1 if day[name] < 0 else 0)
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{MEAN}"/>'
    # The label stands beside the dot, on the side that has room, clear of the strokes around it.
    beside = 9 if x < (LEFT + RIGHT) / 2 else -9
    return dot + _label(x + beside, y + (-1 if above else 9), label, fill=MEAN, anchor="start" if beside > 0 else "end")


def _dry_spell(axis: _TimeAxis, spells: list[dict]) -> list[str]:
    """The longest run of dry days, shaded through both panels and named between them."""
    if not spells:
        return []
    longest = max(spells, key=lambda spell: spell["days"])
    left = axis.x(date.fromisoformat(longest["first"]))
    right = axis.x(date.fromisoformat(longest["last"]) + timedelta(days=1))
    band = f'<rect x="{left:.1f}" y="{RAIN_TOP}" width="{right - left:.1f}" height="{HEAT_BOTTOM - RAIN_TOP}" fill="{DRY}"/>'
    label = f"longest dry spell: {longest['days']} days"
    return [band, _label((left + right) / 2, RAIN_BOTTOM + 18, label, fill="#8a6d1c")]


def _years(axis: _TimeAxis) -> list[str]:
    """A tick where each year begins, and its number in the middle of what is shown of it."""
    parts = []
    for year in range(axis.first.year, (axis.end - timedelta(days=1)).year + 1):
        begins, ends = date(year, 1, 1), date(year + 1, 1, 1)
        left, right = axis.x(max(begins, axis.first)), axis.x(min(ends, axis.end))
        if begins > axis.first:
            parts.append(
                f'<line x1="{left:.1f}" y1="{RAIN_TOP}" x2="{left:.1f}" y2="{HEAT_BOTTOM + 6}" stroke="#c3ccd5" '
                'stroke-dasharray="2 3"/>'
            )
        if right - left > 40:  # narrower than its number
            parts.append(_text((left + right) / 2, HEAT_BOTTOM + 21, str(year), anchor="middle", weight="bold"))
    return parts


def _running_mean(days: list[dict]) -> list[tuple[date, float]]:
    """(day, mean of the middles of the days around it), the window cut off at both ends."""
    middles = [(float(day["temp_min"]) + float(day["temp_max"])) / 2 for day in days]
    reach, means = MEAN_DAYS // 2, []
    for at, day in enumerate(days):
        window = middles[max(0, at - reach) : at + reach + 1]
        means.append((_day(day["date"]), sum(window) / len(window)))
    return means


def _label(x: float, y: float, text: str, *, fill: str, anchor: str = "middle") -> str:
    """Text with a white edge, kept inside the panels."""
    half = len(text) * 3.7  # half its width at this size, near enough
    if anchor == "middle":
        x = min(max(x, LEFT + half), RIGHT - half)
    edge = ' stroke="#ffffff" stroke-width="3" paint-order="stroke" stroke-linejoin="round"'
    return _text(x, y, text, fill=fill, anchor=anchor, size=12, more=edge)


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 13,
    fill: str = INK,
    anchor: str = "start",
    weight: str = "",
    more: str = "",
) -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}"{bold}{more}>{escape(text)}</text>'


def _next_month(first: date) -> date:
    return (first.replace(day=28) + timedelta(days=4)).replace(day=1)


def _day(moment: date) -> date:
    """A plain date, whatever the table holds: a date, a datetime or a pandas Timestamp."""
    return date(moment.year, moment.month, moment.day)
