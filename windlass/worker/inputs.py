"""A session's input: defaults filled in, checked against the cascade's schema."""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from windlass.errors import AuthorError
from windlass.model import Cascade
from windlass.records import Json

# An input is copied into the session's row; larger things belong in a file that the input names.
INPUT_BYTES_MAX = 4 * 1024 * 1024


class InputError(AuthorError):
    """The input breaks the cascade's schema."""


def checked_input(cascade: Cascade, given: Mapping[str, Json]) -> dict[str, Json]:
    """`given` with the schema's defaults, if it obeys the schema.

    Raises:
        InputError: says every key that is missing, unknown or of the wrong type.
    """
    import jsonschema  # 60 ms to import, needed only when a session is submitted

    schema: dict[str, Any] = cascade.inputs_schema
    properties: dict[str, Any] = schema.get("properties", {})
    value = {
        name: rule["default"]
        for name, rule in properties.items()
        if isinstance(rule, dict) and "default" in rule
    }
    value.update(given)
    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)(schema)
    errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    lines = [
        _explain(error.message, list(error.absolute_path))
        for error in errors
        if error.validator != "additionalProperties" or error.absolute_path  # told below, with a suggestion
    ]
    if properties and (schema.get("additionalProperties") is False or cascade.inputs_are_shorthand):
        lines += [_unknown(name, properties) for name in value if name not in properties]
    if lines:
        wanted = ", ".join(properties) or "none"
        raise InputError(
            f"the input of {cascade.cascade_id} is wrong: " + "; ".join(dict.fromkeys(lines)),
            hint=f"its inputs are: {wanted}; give them with -i name=value or --input",
        )
    if len(json.dumps(value)) > INPUT_BYTES_MAX:
        raise InputError(
            f"the input is larger than {INPUT_BYTES_MAX // 1024 // 1024} MiB",
            hint="put it in a file and give its path",
        )
    return value


def _explain(message: str, path: list[str | int]) -> str:
    return f"{'.'.join(map(str, path))}: {message}" if path else message


def _unknown(name: str, properties: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, list(properties), n=1)
    return f"'{name}' is not an input" + (f", did you mean '{near[0]}'?" if near else "")
