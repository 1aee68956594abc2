"""How a cascade goes on: what comes next, what is tried again, what happens after a failure."""

from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from windlass.model.written import Condition, Duration, JsonMap, Name, Texts, Written


class Handoff(Written):
    """A phase that may come next."""

    shorthand: ClassVar[str] = "target"
    target: Name = Field(description="The phase that may come next.")
    description: str = Field(default="", description="When to choose it; an LLM phase reads this.")


class Route(Written):
    """One line of a routing table: a value of `_route`, or a condition, and where it leads."""

    value: str | None = Field(
        default=None, description="The `_route` of the phase's result that takes this way."
    )
    when: str | None = Field(default=None, description="A condition that takes this way.")
    target: Name = Field(
        validation_alias=AliasChoices("to", "target"), description="The phase to go on with."
    )

    @model_validator(mode="after")
    def _has_one_test(self) -> "Route":
        if (self.value is None) == (self.when is None):
            raise PydanticCustomError("route", "a route has either 'value' or 'when'", {})
        return self


class Routing(Written):
    """Which phase a result leads to.

    Written as a mapping (value → phase, with the key `default`) or as a list of {when | value, to}.
    """

    routes: tuple[Route, ...] = Field(default=(), description="The ways, tried in order.")
    default: Name | None = Field(default=None, description="The phase when no way fits.")

    @model_validator(mode="before")
    @classmethod
    def _from_table(cls, value: Any) -> Any:
        """Turns both written forms into routes; the places of errors are found by value again."""
        if isinstance(value, list):
            routes = [item for item in value if not _is_default(item)]
            defaults = [item["default"] for item in value if _is_default(item)]
            return {"routes": routes, **({"default": defaults[-1]} if defaults else {})}
        if isinstance(value, dict) and not isinstance(value.get("routes"), list):
            notes = {key for key in value if key.startswith("_")}
            routes = [
                {"value": key, "to": target}
                for key, target in value.items()
                if key != "default" and key not in notes
            ]
            return {"routes": routes, **({"default": value["default"]} if "default" in value else {})}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Both written forms: a mapping of values, or a list of ways."""
        schema = handler.resolve_ref_schema(super().__get_pydantic_json_schema__(core, handler))
        ways = schema["properties"]["routes"]
        fallback = {"type": "object", "properties": {"default": {"type": "string"}}, "required": ["default"]}
        listed = {"type": "array", "items": {"anyOf": [ways["items"], fallback]}}
        table = {"type": "object", "additionalProperties": {"type": "string"}}
        schema.clear()
        schema.update({"title": "Routing", "anyOf": [table, listed]})
        return schema


def _is_default(item: Any) -> bool:
    return isinstance(item, dict) and set(item) == {"default"}


class Retry(Written):
    """How often and when a failed phase is tried again."""

    shorthand: ClassVar[str] = "max_attempts"
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=1000,
        validation_alias=AliasChoices("max_attempts", "attempts"),
        description="How many tries there are in all, the first included.",
    )
    backoff: Literal["none", "constant", "linear", "exponential"] = Field(
        default="exponential", description="How the pause grows from try to try."
    )
    base_s: Duration = Field(
        default=1.0,
        validation_alias=AliasChoices("base_s", "backoff_base_seconds", "delay", "base"),
        description="The first pause, in seconds or as '5s'.",
    )
    factor: float = Field(
        default=2.0, ge=1, le=100, description="What an exponential pause is multiplied with."
    )
    cap_s: Duration = Field(
        default=300.0, validation_alias=AliasChoices("cap_s", "cap"), description="The longest pause."
    )
    jitter: float = Field(default=0.1, ge=0, le=1, description="Random part of a pause, 0 to 1.")
    retry_if: str | None = Field(
        default=None,
        validation_alias=AliasChoices("if", "retry_if"),
        description="Try again only when this holds; it sees `error`.",
    )


class Repair(Written):
    """An LLM that mends a failed phase."""

    auto_fix: bool | JsonMap = Field(
        default=False, description="Let a model mend the phase's code and run it again."
    )
    instructions: str | None = Field(default=None, description="What the model is told about the failure.")
    model: str | None = Field(default=None, description="Which model mends it.")
    max_attempts: int = Field(default=2, ge=1, le=100, description="How many repairs are tried.")


class OnError(Written):
    """What happens when a phase has failed for good.

    Written as a phase's name, `continue`, `auto_fix`, or a mapping.
    """

    shorthand: ClassVar[str] = "phase"
    phase: Name | None = Field(default=None, description="The phase to go on with; it sees `error`.")
    continues: bool = Field(
        default=False,
        validation_alias=AliasChoices("continue", "continues"),
        description="Go on as if it had ended.",
    )
    repair: Repair | None = Field(default=None, description="An LLM repair.")

    @model_validator(mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        if isinstance(value, str):
            words: dict[str, Any] = {
                "continue": {"continue": True},
                "auto_fix": {"repair": {"auto_fix": True}},
            }
            return words.get(value, {"phase": value})
        if isinstance(value, dict) and ("auto_fix" in value or "instructions" in value):
            own = {"phase", "continue", "continues", "repair"}
            repair = {key: item for key, item in value.items() if key not in own and not key.startswith("_")}
            return {**{key: item for key, item in value.items() if key in own}, "repair": repair}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The written forms: a phase's name, `continue`, `auto_fix`, or a mapping, with a repair's keys."""
        schema = handler.resolve_ref_schema(super().__get_pydantic_json_schema__(core, handler))
        whole = schema["anyOf"][-1]
        whole["properties"] |= {
            "auto_fix": {"description": "Let a model mend the phase's code."},
            "instructions": {"type": "string", "description": "What the model is told of the failure."},
            "model": {"type": "string"},
            "max_attempts": {"type": "integer", "minimum": 1},
        }
        return schema

    @model_validator(mode="after")
    def _says_one_thing(self) -> "OnError":
        if (self.phase is not None) + self.continues + (self.repair is not None) != 1:
            raise PydanticCustomError("on_error", "says one of: a phase's name, 'continue', or a repair", {})
        return self


class Limits(Written):
    """How much a phase's code may use; what is absent comes from the settings."""

    memory_mb: int | None = Field(default=None, ge=16, le=1_048_576, description="Memory, in MiB.")
    cpu_s: Duration | None = Field(default=None, description="Processor time.")
    processes: int | None = Field(
        default=None, ge=1, le=100_000, description="Processes and threads at once."
    )
    file_mb: int | None = Field(default=None, ge=1, le=1_048_576, description="Largest file written, in MiB.")
    output_mb: int | None = Field(
        default=None, ge=1, le=512, description="Largest output value, in MiB of JSON."
    )


class Cache(Written):
    """How long a phase's result may be used again instead of running it."""

    shorthand: ClassVar[str] = "ttl"
    ttl: Duration = Field(description="How long a result is good, in seconds or as '1h'.")
    key: str | None = Field(
        default=None, description="A template; equal keys share a result. By default code and input."
    )


class StopIf(Written):
    """A condition that ends the session, or the loop, after a phase."""

    shorthand: ClassVar[str] = "when"
    when: Condition = Field(
        validation_alias=AliasChoices("when", "expr", "if"), description="Stop when this holds."
    )
    error_message: str | None = Field(default=None, description="Stop as a failure, with this message.")
    skip_if_stopped: bool = Field(default=False, description="Show the session as skipped, not completed.")


class Mock(Written):
    """A value that stands for a phase's result while a cascade is being written."""

    enabled: bool = Field(default=True, description="Off keeps the value for later.")
    value: Any = Field(
        default=None, validation_alias=AliasChoices("value", "return_value"), description="The result."
    )


class ForEach(Written):
    """Runs a phase once for each item of a list or row of a table."""

    shorthand: ClassVar[str] = "items"
    items: list[Any] | str | None = Field(
        default=None, description="A list, or an expression that gives one."
    )
    table: str | None = Field(default=None, description="A table of the scratch; each row is `row`.")
    max_parallel: int = Field(default=5, ge=1, le=1000, description="How many run at once.")
    on_error: Literal["continue", "fail_fast", "collect_errors"] = Field(
        default="fail_fast", description="What one failed item means for the others."
    )
    result_table: str | None = Field(default=None, description="Name of the table with the results.")
    inputs: JsonMap = Field(
        default_factory=dict, description="Values for each item, rendered with `row` and `item`."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> "ForEach":
        if (self.items is None) == (self.table is None):
            raise PydanticCustomError("for_each", "needs either 'items' or 'table'", {})
        return self


class Access(Written):
    """Paths that the cascade's SQL may use beside its own folder; templates are rendered."""

    read: Texts = Field(default=(), description="Files and folders that may be read.")
    write: Texts = Field(default=(), description="Files and folders that may be written.")


class Concurrency(Written):
    """How many sessions of a cascade may run at once."""

    shorthand: ClassVar[str] = "limit"
    limit: int = Field(ge=1, le=1_000_000, description="How many at once.")
    key: str | None = Field(default=None, description="A template; the limit counts per value.")
    window: Duration | None = Field(default=None, description="Count the starts of this time instead.")


class SubCascade(Written):
    """A cascade that runs before a phase (`sub_cascades`) or beside it (`async_cascades`)."""

    shorthand: ClassVar[str] = "ref"
    ref: str = Field(min_length=1, description="The cascade: a file's path or a cascade_id.")
    input_map: JsonMap = Field(default_factory=dict, description="Its inputs.")
    context_in: bool = Field(default=False, description="It sees this session's state.")
    context_out: bool = Field(default=False, description="Its state comes back into this session.")
    trigger: str = Field(default="on_start", description="When an asynchronous one starts.")

    @field_validator("context_in", "context_out", mode="before")
    @classmethod
    def _none_is_false(cls, value: Any) -> Any:
        return False if value is None else value
