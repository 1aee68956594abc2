"""A cascade: what its author wrote at the top level, and what the loader found out about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr, SkipValidation, field_validator, model_validator

from windlass.errors import NotFound
from windlass.model.document import Document
from windlass.model.flow import Access, Concurrency, Limits
from windlass.model.llm import Open, Soundings, TokenBudget, Validator
from windlass.model.operation import Notify, Preprocess, ToolCaching, Trigger, triggers_as_list
from windlass.model.phase import Phase
from windlass.model.problems import KeyPath, Problem, did_you_mean
from windlass.model.written import Duration, JsonMap, Name, Texts, Written, many

_JSON_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_SCHEMA_KEYS = frozenset({"$schema", "$ref", "allOf", "anyOf", "oneOf", "$defs"})


@dataclass(frozen=True, slots=True)
class Found:
    """What the loader adds to the text: where it stood and which files it needs.

    Attributes:
        document: the file's values with their places.
        text: the file as it was read.
        source: the file as errors name it.
        path: the file itself, None for a text without one.
        folder: where relative names are found, None for a text without a file.
        search: folders that are searched after it.
        named_files: (name relative to the folder, absolute path) of every file the cascade names.
        children: the files of the sub-cascades, by the name that was written.
        family: every cascade loaded with this one, by file; filled when loading is over.
    """

    document: Document
    text: str
    source: str
    path: Path | None
    folder: Path | None
    search: tuple[Path, ...]
    named_files: tuple[tuple[str, Path], ...] = ()
    children: Mapping[str, Path] = field(default_factory=dict)
    family: Mapping[Path, "Cascade"] = field(default_factory=dict)


class Cascade(Written):
    """A workflow: phases and what holds for all of them."""

    cascade_id: Name = Field(description="The cascade's name: letters, digits, '_' and '-'.")
    description: str = Field(default="", description="For people.")
    inputs_schema: JsonMap = Field(
        default_factory=lambda: {"type": "object"},
        description="JSON Schema of the input, or the short form: name → description.",
    )
    phases: Annotated[tuple[SkipValidation[Phase], ...], Field(min_length=1)] = Field(
        description="The phases, in file order."
    )
    on_failure: Name | None = Field(
        default=None, description="The phase that runs when the session fails; sees `error`."
    )
    timeout_s: Duration | None = Field(
        default=None, alias="timeout", description="Longest time a session may take."
    )
    max_resumes: int | None = Field(
        default=None, ge=0, le=1000, description="How often a lost session is taken over."
    )
    max_cost_usd: float | None = Field(default=None, ge=0, description="Most that its model calls may cost.")
    priority: int = Field(default=0, ge=-1000, le=1000, description="Higher is started earlier.")
    tags: Texts = Field(default=(), description="Workers with these tags run it.")
    access: Access = Field(default_factory=Access, description="Paths its SQL may use beside its own folder.")
    files: Texts = Field(default=(), description="Data files that belong to it: globs relative to its file.")
    keep_scratch: bool = Field(default=False, description="Keep the session's DuckDB file when it is over.")

    limits: Limits | None = Field(default=None, description="What its phases' code may use.")
    preprocess: Preprocess | None = Field(
        default=None, description="Makes the input from a trigger's payload."
    )
    concurrency: Concurrency | None = Field(default=None, description="How many sessions may run at once.")
    notify: Annotated[tuple[Notify, ...], many(Notify)] = Field(
        default=(), description="Who is told of its end."
    )
    triggers: Annotated[
        tuple[Trigger, ...], BeforeValidator(triggers_as_list, json_schema_input_type=list[Trigger] | JsonMap)
    ] = Field(default=(), description="What starts sessions: cron, sensor, webhook, manual.")
    token_budget: TokenBudget | None = Field(default=None, description="How long conversations may grow.")
    soundings: Soundings | None = Field(default=None, description="Parallel attempts of the whole cascade.")
    validators: dict[str, Validator] = Field(default_factory=dict, description="Validators for its phases.")
    tool_caching: ToolCaching | None = Field(default=None, description="Keep tools' answers.")
    memory: Open | None = Field(default=None, description="A memory that its sessions share.")

    _found: Found = PrivateAttr()
    _places: dict[str, int] = PrivateAttr(default_factory=dict)
    _targets: frozenset[str] = PrivateAttr(default=frozenset())

    @field_validator("inputs_schema", mode="before")
    @classmethod
    def _normal_schema(cls, value: Any) -> Any:
        if value is None:
            return {"type": "object"}
        return expand_inputs(value) if is_shorthand(value) else value

    @model_validator(mode="after")
    def _index_phases(self) -> "Cascade":
        """Notes once what is asked for at every step: where a phase stands, and which are targets."""
        self._places = {phase.name: at for at, phase in reversed(list(enumerate(self.phases)))}
        named = {name for phase in self.phases for _, name in phase.named_targets()}
        self._targets = frozenset(named | ({self.on_failure} if self.on_failure else set()))
        return self

    @property
    def inputs_are_shorthand(self) -> bool:
        """True when `inputs_schema` was written as name → description."""
        value = self._found.document.value.get("inputs_schema")
        return value is not None and is_shorthand(value)

    @property
    def source(self) -> str:
        """The file as errors name it."""
        return self._found.source

    @property
    def text(self) -> str:
        """The file's text as it was loaded."""
        return self._found.text

    @property
    def path(self) -> Path | None:
        """The file, None for a cascade that was given as a text."""
        return self._found.path

    @property
    def folder(self) -> Path | None:
        """Where relative names are found, None for a cascade without a file."""
        return self._found.folder

    @property
    def search(self) -> tuple[Path, ...]:
        """Folders that are searched after `folder`."""
        return self._found.search

    @property
    def named_files(self) -> tuple[tuple[str, Path], ...]:
        """(name relative to the folder, absolute path) of every file that the cascade names."""
        return self._found.named_files

    @property
    def children(self) -> Mapping[str, Path]:
        """The files of its sub-cascades, by the name that was written."""
        return self._found.children

    def child(self, ref: str) -> "Cascade":
        """The sub-cascade that a phase calls `ref`, loaded together with this one."""
        return self._found.family[self._found.children[ref]]

    @property
    def targets(self) -> frozenset[str]:
        """Phases that something names as its target; they are entered only by name."""
        return self._targets

    def phase(self, name: str) -> Phase:
        """The phase of that name.

        Raises:
            NotFound: there is none.
        """
        if name not in self._places:
            raise NotFound(f"{self.source} has no phase '{name}'", hint=did_you_mean(name, self._places))
        return self.phases[self._places[name]]

    def line_of(self, path: str | KeyPath) -> int:
        """The line of a key: `phases[2].retry.backoff`, or its steps as a tuple."""
        return self._found.document.spot_at(_steps(path)).line

    def problem_at(self, path: str | KeyPath, message: str, suggestion: str = "") -> Problem:
        """A problem with the value at a key, for checks that come after loading."""
        return self._found.document.problem(_steps(path), message, suggestion)

    def text_line_of(self, path: str | KeyPath) -> int:
        """The line on which the text of a value begins, one below the key for a `|` block."""
        return self._found.document.spot_at(_steps(path)).text_line


def is_shorthand(value: Any) -> bool:
    """Is an inputs_schema the short form (name → description) and not a JSON Schema?"""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("properties"), dict) or any(key in value for key in _SCHEMA_KEYS):
        return False
    return value.get("type") not in _JSON_TYPES


def expand_inputs(short: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a short form: each name is a property, and required unless said otherwise.

    A description that begins with "optional" or ends with "(optional)" makes it optional, and so
    does a `default` where the value is a schema of its own.
    """
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, said in short.items():
        if name.startswith("_"):
            continue
        properties[name] = (
            said if isinstance(said, dict) else {"description": "" if said is None else str(said)}
        )
        text = str(properties[name].get("description", "")).strip().lower()
        optional = text.startswith("optional") or text.endswith("(optional)") or "default" in properties[name]
        if not optional:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}


def _steps(path: str | KeyPath) -> KeyPath:
    if not isinstance(path, str):
        return path
    found = re.findall(r"\[(\d+)\]|([^.\[\]]+)", path)
    return tuple(int(index) if index else name for index, name in found)
