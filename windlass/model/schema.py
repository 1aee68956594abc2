"""The cascade language as a JSON Schema, for editors that complete and check while one types."""

from typing import Any

from pydantic.json_schema import models_json_schema

from windlass.model.cascade import Cascade
from windlass.model.kinds import PHASE_CLASSES
from windlass.model.phase import Phase

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def cascade_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a cascade's file, with a description for each key.

    It is generated from the models. What only the loader can tell (whether files and phases that
    are named exist) is not in it.
    """
    models = [(Cascade, "validation"), (Phase, "validation"), *((cls, "validation") for cls in PHASE_CLASSES)]
    refs, whole = models_json_schema(models, by_alias=True)  # type: ignore[arg-type]  # the mode's type widened
    definitions: dict[str, Any] = whole["$defs"]
    kinds = [refs[(cls, "validation")] for cls in PHASE_CLASSES]
    phase = definitions.pop("Phase")
    definitions["RowsPhase"] = _rows_phase(phase, definitions["ForEach"])
    cascade = definitions.pop("Cascade")
    cascade["properties"]["phases"]["items"] = {"anyOf": [*kinds, {"$ref": "#/$defs/RowsPhase"}]}
    return {"$schema": _DIALECT, "title": "Windlass cascade", **cascade, "$defs": definitions}


def _rows_phase(phase: dict[str, Any], for_each: dict[str, Any]) -> dict[str, Any]:
    """The first Windlass's phases that name a cascade or instructions inside `for_each_row`."""
    whole = next(form for form in for_each["anyOf"] if "patternProperties" in form)
    own = {"cascade": {"type": "string"}, "instructions": {"type": "string"}}
    rows = {**whole, "properties": {**whole["properties"], **own}}
    properties = {**phase["properties"], "for_each_row": rows}
    required = ["name", "for_each_row"]
    return {**phase, "title": "RowsPhase", "properties": properties, "required": required}
