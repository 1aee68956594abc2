"""What a day's weather cannot be."""

KINDS = ("drizzle", "fog", "rain", "snow", "sun")

# The world's records, rounded outwards: nothing beyond them was ever measured anywhere.
LIMITS = {"precipitation": (0, 2000), "temp_max": (-90, 60), "temp_min": (-90, 60), "wind": (0, 115)}


def problems(days: list[dict]) -> list[str]:
    """One sentence for each impossible value or date, with the file's line (the header is line 1)."""
    found = []
    if not days:
        return ["the file has no rows"]
    before = None
    for line, day in enumerate(days, start=2):
        where = f"row {line} ({str(day['date'])[:10]})"
        values = {name: _number(day[name]) for name in LIMITS}
        for name, (low, high) in LIMITS.items():
            if not low <= values[name] <= high:  # a missing value, which is NaN, is not in the range either
                found.append(f"{where}: {name} is {day[name]}, possible is {low} to {high}")
        if values["temp_min"] > values["temp_max"]:
            found.append(f"{where}: temp_min {day['temp_min']} is above temp_max {day['temp_max']}")
        if day["weather"] not in KINDS:
            found.append(f"{where}: weather is {day['weather']!r}, known are {', '.join(KINDS)}")
        if before is not None and (day["date"] - before).days != 1:
            found.append(f"{where}: the day before it in the file is {str(before)[:10]}")
        before = day["date"]
    return found


def _number(value: object) -> float:
    """The value as a float; what is missing (None, pandas' NA) is NaN."""
    try:
        return float(value)
    except TypeError:
        return float("nan")
