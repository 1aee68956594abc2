"""Children that run authors' code: started warm, limited, and killed with all they started."""

from windlass.sandbox.child import Child
from windlass.sandbox.spawn import Zygote
from windlass.sandbox.spec import (
    ChildDied,
    ChildEnded,
    ChildLimits,
    ChildSpec,
    ChildStopped,
    ChildTimeout,
    ServiceFailed,
)

__all__ = [
    "Child",
    "ChildDied",
    "ChildEnded",
    "ChildLimits",
    "ChildSpec",
    "ChildStopped",
    "ChildTimeout",
    "ServiceFailed",
    "Zygote",
]
