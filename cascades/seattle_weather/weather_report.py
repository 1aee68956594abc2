"""The report as Markdown that also reads well in a terminal."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
BAR = 30  # characters of the longest bar


def write(*, span: dict, years: list, months: list, kinds: list, spells: list, picture: str) -> str:
    """The whole text, without a newline at its end."""
    parts = [
        f"# Seattle weather, {span['first']} to {span['last']}",
        _summary(span, years, spells),
        "## Year by year",
        _by_year(years, spells),
        "## Precipitation by month, mm",
        _by_month(years, months),
        "## Kinds of weather",
        _by_kind(kinds),
        f"Picture: {picture}. Data: NOAA, daily; a wet day has any precipitation, a dry one none.",
    ]
    return "\n\n".join(parts)


def _summary(span: dict, years: list, spells: list) -> str:
    total = sum(year["precipitation"] for year in years)
    wet_days = sum(year["wet_days"] for year in years)
    wettest = max(years, key=lambda year: year["wettest"])
    hottest = max(years, key=lambda year: year["hottest"])
    coldest = min(years, key=lambda year: year["coldest"])
    lines = [
        f"{span['days']:,} days, {total:,.1f} mm of precipitation on {wet_days} wet days.",
        "",
        f"- wettest day:       {wettest['wettest_on']}, {wettest['wettest']:.1f} mm",
    ]
    if spells:
        longest = max(spells, key=lambda spell: spell["days"])
        lines.append(f"- longest dry spell: {longest['days']} days, {longest['first']} to {longest['last']}")
    lines += [
        f"- hottest day:       {hottest['hottest_on']}, {hottest['hottest']:.1f} °C",
        f"- coldest night:     {coldest['coldest_on']}, {coldest['coldest']:.1f} °C",
    ]
    return "\n".join(lines)


def _by_year(years: list, spells: list) -> str:
    spell_days = {spell["year"]: spell["days"] for spell in spells}
    rows = [
        [
            str(year["year"]),
            f"{year['precipitation']:,.1f}",
            str(year["wet_days"]),
            f"{year['coldest']:.1f} to {year['hottest']:.1f}",
            f"{year['wettest']:.1f} on {year['wettest_on'][5:]}",
            str(spell_days.get(year["year"], 0)),
        ]
        for year in years
    ]
    return _table(["Year", "mm", "Wet days", "°C, min to max", "Wettest day, mm", "Dry spell, days"], rows)


def _by_month(years: list, months: list) -> str:
    amounts = {(row["year"], row["month"]): row["precipitation"] for row in months}
    names = [year["year"] for year in years]
    rows = []
    for number, month in enumerate(MONTHS, start=1):
        cells = [amounts.get((year, number)) for year in names]
        rows.append([month, *("" if amount is None else f"{amount:.1f}" for amount in cells)])
    rows.append(["Total", *(f"{year['precipitation']:,.1f}" for year in years)])
    return _table(["Month", *map(str, names)], rows)


def _by_kind(kinds: list) -> str:
    most = max(kind["percent"] for kind in kinds)
    rows = [
        [
            kind["weather"],
            str(kind["days"]),
            f"{kind['percent']:.1f} %",
            "#" * max(1, round(kind["percent"] / most * BAR)),
        ]
        for kind in kinds
    ]
    return _table(["Weather", "Days", "Share", ""], rows, left={0, 3})


def _table(head: list[str], rows: list[list[str]], left: frozenset | set = frozenset({0})) -> str:
    """A Markdown table with its columns lined up; all but those in `left` are flush right."""
    widths = [max(3, *(len(row[at]) for row in [head, *rows])) for at in range(len(head))]

    def line(cells: list[str]) -> str:
        padded = [
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if at in left else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *map(line, rows)])
