"""What an author may write: the cascade language, loaded from text with errors that name their place."""

from windlass.model.built import unbuilt
from windlass.model.bundle import Bundle, make_bundle, unpack_bundle
from windlass.model.cascade import Cascade
from windlass.model.flow import (
    Access,
    Cache,
    Concurrency,
    ForEach,
    Handoff,
    Limits,
    Mock,
    OnError,
    Repair,
    Retry,
    Route,
    Routing,
    StopIf,
    SubCascade,
)
from windlass.model.kinds_agent import BrowserPhase, HumanPhase, LlmPhase, WaitPhase
from windlass.model.kinds_control import (
    BranchPhase,
    EmitPhase,
    ParallelPhase,
    ProducerPhase,
    QueueWritePhase,
    WhilePhase,
)
from windlass.model.kinds_work import (
    CascadePhase,
    HttpAuth,
    HttpPhase,
    HttpRequest,
    PythonPhase,
    ScriptPhase,
    ShellPhase,
    SqlPhase,
    ToolPhase,
)
from windlass.model.load import load_cascade, parse_cascade
from windlass.model.phase import Phase, PhaseKind
from windlass.model.problems import CascadeInvalid, Problem
from windlass.model.schema import cascade_schema

__all__ = [
    "Access",
    "BranchPhase",
    "BrowserPhase",
    "Bundle",
    "Cache",
    "Cascade",
    "CascadeInvalid",
    "CascadePhase",
    "Concurrency",
    "EmitPhase",
    "ForEach",
    "Handoff",
    "HttpAuth",
    "HttpPhase",
    "HttpRequest",
    "HumanPhase",
    "Limits",
    "LlmPhase",
    "Mock",
    "OnError",
    "ParallelPhase",
    "Phase",
    "PhaseKind",
    "Problem",
    "ProducerPhase",
    "PythonPhase",
    "QueueWritePhase",
    "Repair",
    "Retry",
    "Route",
    "Routing",
    "ScriptPhase",
    "ShellPhase",
    "SqlPhase",
    "StopIf",
    "SubCascade",
    "ToolPhase",
    "WaitPhase",
    "WhilePhase",
    "cascade_schema",
    "load_cascade",
    "make_bundle",
    "parse_cascade",
    "unbuilt",
    "unpack_bundle",
]
