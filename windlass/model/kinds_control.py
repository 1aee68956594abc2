"""The kinds of phases that direct others: forks, loops, signals, queues."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AliasChoices, Field, field_validator

from windlass.model.phase import Phase, PhaseKind
from windlass.model.written import (
    Condition,
    Duration,
    Name,
    Written,
    many,
    one_or_many,
)


class Case(Written):
    """One way of a branch."""

    when: Condition = Field(
        validation_alias=AliasChoices("when", "if"), description="Take this way when this holds."
    )
    target: Name = Field(
        validation_alias=AliasChoices("to", "target"), description="The phase to go on with."
    )


class Branch(Written):
    """Ways of which the first that fits is taken."""

    shorthand: ClassVar[str] = "cases"
    cases: tuple[Case, ...] = Field(min_length=1, description="The ways, tried in order.")
    default: Name | None = Field(default=None, description="The phase when no way fits.")


class BranchPhase(Phase):
    """A fork by conditions."""

    kind: ClassVar[PhaseKind] = PhaseKind.BRANCH
    branch: Branch = Field(description="The ways.")

    def named_targets(self) -> list[tuple[tuple[Any, ...], str]]:
        """The phases that the ways lead to, and those of every phase."""
        written = bool(self.branch.model_fields_set - {"cases"})
        found: list[tuple[tuple[Any, ...], str]] = []
        for at, case in enumerate(self.branch.cases):
            found.append((("branch", "cases", at) if written else ("branch", at), case.target))
        if self.branch.default:
            found.append((("branch", "default"), self.branch.default))
        return super().named_targets() + found


Chain: TypeAlias = Annotated[tuple[Name, ...], many(str), Field(min_length=1)]


class Parallel(Written):
    """Chains of phases that run at the same time."""

    shorthand: ClassVar[str] = "branches"
    branches: tuple[Chain, ...] = Field(
        min_length=1, description="Each a phase's name, or a list run in order."
    )
    max_parallel: int = Field(default=5, ge=1, le=1000, description="How many run at once.")
    on_error: Literal["continue", "fail_fast", "collect_errors"] = Field(
        default="fail_fast", description="What one failed branch means for the others."
    )

    @field_validator("branches", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return one_or_many(value)


class ParallelPhase(Phase):
    """Several branches at once; their results come together."""

    kind: ClassVar[PhaseKind] = PhaseKind.PARALLEL
    parallel: Parallel = Field(description="The branches.")

    def named_targets(self) -> list[tuple[tuple[Any, ...], str]]:
        """The phases of the branches, and those that every phase names."""
        members = [
            (("parallel", "branches", at, place), name)
            for at, chain in enumerate(self.parallel.branches)
            for place, name in enumerate(chain)
        ]
        return super().named_targets() + members


class While(Written):
    """Phases that are repeated as long as a condition holds."""

    when: Condition = Field(
        validation_alias=AliasChoices("when", "if"), description="Go on as long as this holds."
    )
    phases: Chain = Field(description="The phases of one round, in order.")
    max_rounds: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        validation_alias=AliasChoices("max_rounds", "max_iterations"),
        description="Fail after so many rounds.",
    )


class WhilePhase(Phase):
    """A loop."""

    kind: ClassVar[PhaseKind] = PhaseKind.WHILE
    loop: While = Field(alias="while", description="The condition and the phases.")

    def named_targets(self) -> list[tuple[tuple[Any, ...], str]]:
        """The phases of a round, and those that every phase names."""
        members = [(("while", "phases", at), name) for at, name in enumerate(self.loop.phases)]
        return super().named_targets() + members


class Emit(Written):
    """A signal to send."""

    shorthand: ClassVar[str] = "signal"
    signal: str = Field(validation_alias=AliasChoices("signal", "name", "event"), description="Its name.")
    session: str | None = Field(
        default=None, description="To which session; by default whoever waits for it."
    )
    payload: Any = Field(default=None, description="What it carries; templates are rendered.")


class EmitPhase(Phase):
    """Sends a signal."""

    kind: ClassVar[PhaseKind] = PhaseKind.EMIT
    emit: Emit = Field(description="The signal.")


class Producer(Written):
    """A source whose rows become work in a queue."""

    queue: str = Field(min_length=1, description="The queue's name.")
    table: str | None = Field(default=None, description="A table of the scratch whose rows are queued.")
    items: list[Any] | str | None = Field(
        default=None, description="Or a list, or an expression that gives one."
    )
    batch_rows: int = Field(default=500, ge=1, le=100_000, description="Rows per batch.")
    max_pending: int | None = Field(default=None, ge=1, description="Wait while so many are in the queue.")


class ProducerPhase(Phase):
    """Fills a queue, no faster than it is emptied."""

    kind: ClassVar[PhaseKind] = PhaseKind.PRODUCER
    producer: Producer = Field(description="The source and the queue.")


class QueueWrite(Written):
    """Items to put into a queue."""

    queue: str = Field(min_length=1, description="The queue's name.")
    item: Any = Field(default=None, description="One item; templates are rendered.")
    items: list[Any] | str | None = Field(
        default=None, description="Several, or an expression that gives a list."
    )
    table: str | None = Field(default=None, description="Or a table of the scratch.")
    key: str | None = Field(default=None, description="A template; equal keys are queued once.")
    priority: int = Field(default=0, description="Higher is taken earlier.")
    delay: Duration | None = Field(default=None, description="Not to be taken before this time has passed.")


class QueueWritePhase(Phase):
    """Puts items into a queue."""

    kind: ClassVar[PhaseKind] = PhaseKind.QUEUE_WRITE
    queue_write: QueueWrite = Field(description="The queue and the items.")
