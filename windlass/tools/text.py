"""Values as texts for programs outside, and texts of such programs as values."""

import json

from windlass.records import Json


def as_text(value: Json) -> str:
    """A value as a variable, header or argument: text as it is, null as "", everything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def read_json_like(text: str) -> Json:
    """What a text that looks like a JSON object or list says; the text itself if it is none."""
    stripped = text.strip()
    if (stripped[:1], stripped[-1:]) not in (("{", "}"), ("[", "]")):
        return text
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        return text
