"""What every phase has, whatever its kind."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PrivateAttr

from windlass.model.flow import (
    Cache,
    ForEach,
    Handoff,
    Limits,
    Mock,
    OnError,
    Retry,
    Routing,
    StopIf,
    SubCascade,
)
from windlass.model.llm import Context, Open, OutputExtraction, Rules, Soundings, Wards
from windlass.model.written import Condition, Duration, JsonMap, Name, Texts, Written, many


class PhaseKind(StrEnum):
    """What a phase does, decided by the key that is present; the value is that key."""

    LLM = "instructions"
    SQL = "sql"
    PYTHON = "python"
    SHELL = "shell"
    SCRIPT = "script"
    HTTP = "http"
    TOOL = "tool"
    CASCADE = "cascade"
    HUMAN = "human"
    WAIT = "wait"
    BRANCH = "branch"
    PARALLEL = "parallel"
    WHILE = "while"
    EMIT = "emit"
    PRODUCER = "producer"
    QUEUE_WRITE = "queue_write"
    BROWSER = "browser"


class Phase(Written):
    """One unit of work. The kinds in `windlass.model.kinds` add what they do."""

    kind: ClassVar[PhaseKind]

    name: Name = Field(description="The phase's name: letters, digits, '_' and '-'; unique in the cascade.")
    description: str = Field(default="", description="For people.")

    handoffs: Annotated[tuple[Handoff, ...], many(Handoff)] = Field(
        default=(), description="Phases that may come next. They are then entered only by name."
    )
    routing: Routing | None = Field(default=None, description="Which phase the result's `_route` leads to.")
    when: Condition | None = Field(
        default=None, description="Run only when this holds; otherwise the phase is skipped."
    )
    skip_if: Condition | None = Field(default=None, description="Skip the phase when this holds.")
    stop_after_if: StopIf | None = Field(
        default=None, description="End the session after this phase when this holds."
    )
    needs: Texts = Field(default=(), description="Phases that must be done first; makes the cascade a graph.")

    pure: bool = Field(
        default=False, description="May be run again without harm; its checkpoint need not be waited for."
    )
    isolation: Literal["child", "inline", "sandbox"] = Field(
        default="child",
        description="Where the code runs: the session's child, the worker itself, or a sandbox.",
    )
    pool: str | None = Field(
        default=None, description="A named pool that limits how many such phases run at once."
    )
    limits: Limits | None = Field(default=None, description="What the code may use.")
    retry: Retry | None = Field(default=None, description="How often a failure is tried again.")
    timeout_s: Duration | None = Field(
        default=None,
        alias="timeout",
        description="Stops what runs after this time: seconds, or '30s', '5m', '1h'.",
    )
    cache: Cache | None = Field(default=None, description="Use an earlier result again.")
    on_error: OnError | None = Field(default=None, description="A phase's name, 'continue', or a repair.")
    sleep: Duration | str | None = Field(default=None, description="A pause after the phase.")
    mock: Mock | None = Field(default=None, description="A value that stands for the result.")

    for_each: ForEach | None = Field(default=None, description="Run the phase once per item or row.")
    context: Context | None = Field(default=None, description="What the phase sees of earlier ones.")
    rules: Rules | None = Field(default=None, description="Limits of turns and attempts.")
    soundings: Soundings | None = Field(default=None, description="Parallel attempts with an evaluator.")
    wards: Wards | None = Field(default=None, description="Validators before, after and during the phase.")
    output_schema: JsonMap | None = Field(default=None, description="JSON Schema that the result must meet.")
    output_extraction: OutputExtraction | None = Field(
        default=None, description="A part of the answer to keep."
    )
    sub_cascades: Annotated[tuple[SubCascade, ...], many(SubCascade)] = Field(
        default=(), description="Cascades that run before the phase."
    )
    async_cascades: Annotated[tuple[SubCascade, ...], many(SubCascade)] = Field(
        default=(), description="Cascades that are started and not waited for."
    )
    callouts: Open | None = Field(default=None, description="Messages to mark in the logs.")
    human_input: Open | None = Field(default=None, description="Ask a person after the phase.")
    decision_points: Open | None = Field(default=None, description="Let the model ask a person to decide.")

    _index: int = PrivateAttr(default=0)

    @property
    def index(self) -> int:
        """The phase's place in the file, from 0."""
        return self._index

    def named_targets(self) -> list[tuple[tuple[Any, ...], str]]:
        """Every phase that this one can lead to: (key path within the phase, name)."""
        found: list[tuple[tuple[Any, ...], str]] = [
            (("handoffs", at), handoff.target) for at, handoff in enumerate(self.handoffs)
        ]
        if self.routing:
            for at, route in enumerate(self.routing.routes):
                found.append((("routing", route.value if route.value is not None else at), route.target))
            if self.routing.default:
                found.append((("routing", "default"), self.routing.default))
        if self.on_error and self.on_error.phase:
            found.append((("on_error",), self.on_error.phase))
        return found
