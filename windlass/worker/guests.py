"""A session's child as its worker orders it: limits, environment, and what its SQL may read."""

import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from windlass.config import Settings
from windlass.guest import Guest, InlinePython
from windlass.model import Cascade, Limits
from windlass.phases import Stop
from windlass.records import Session
from windlass.runner import Journal, Keeper, Position
from windlass.sandbox import Child, ChildLimits, ChildSpec, Zygote
from windlass.templates import Templates

# Variables that every child gets from this process: where programs are, and how text is written.
CHILD_ENVIRON = ("PATH", "LANG", "LC_ALL", "TZ")

_MIB = 1024 * 1024


class GuestMaker:
    """Makes the child, and the runner of inline code, of one session in one epoch.

    Args:
        cascade: loaded from its unpacked bundle.
        folder: the epoch's own folder; each child gets one of its own below it.
        incoming: where files are put that a child restores its scratch from.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        zygote: Zygote,
        session: Session,
        cascade: Cascade,
        folder: Path,
        incoming: Path,
        search: tuple[Path, ...],
    ) -> None:
        assert cascade.folder is not None, "a session runs from its unpacked bundle"
        self._settings = settings
        self._zygote = zygote
        self._session = session
        self._cascade = cascade
        self._bundle = cascade.folder
        self._folder = folder
        self._incoming = incoming
        self._search = search
        self._numbers = count(1)
        self._asked = cascade.limits or Limits()

    def guest(self, *, position: Position, keeper: Keeper, journal: Journal, stop: Stop) -> Guest:
        """The session's child, which starts when it is first needed."""
        return Guest(
            spawn=self._spawn,
            restored=lambda: keeper.fetch_objects(list(position.scratch.values())),
            echo=position.echo,
            stop=stop.event,
            log=journal.printed,
            log_bytes_max=self._settings.log_kb * 1024,
        )

    def inline(self, guest: Guest, *, position: Position, journal: Journal) -> InlinePython:
        """What runs `isolation: inline`, in this process."""
        return InlinePython(
            guest=guest,
            echo=position.echo,
            folder=self._incoming,
            artifacts=self.artifacts,
            log=journal.printed,
            log_bytes_max=self._settings.log_kb * 1024,
            output_bytes_max=self._output_bytes_max,
        )

    @property
    def artifacts(self) -> Path:
        """Where its phases leave files, and find those of earlier ones."""
        return self._folder / "artifacts"

    @property
    def _output_bytes_max(self) -> int:
        return _lower(self._settings.output_mb, self._asked.output_mb) * _MIB

    @property
    def _limits(self) -> ChildLimits:
        asked = self._asked
        return ChildLimits(
            memory_bytes=_lower(self._settings.memory_mb, asked.memory_mb) * _MIB,
            processes=_lower(self._settings.processes_max, asked.processes),
            file_bytes=_lower(self._settings.file_mb, asked.file_mb) * _MIB,
            cpu_s=None if asked.cpu_s is None else max(1, round(asked.cpu_s)),
        )

    def _spawn(self) -> Child:
        own = self._folder / str(next(self._numbers))
        own.mkdir(parents=True)
        access = self._cascade.access
        allowed = [path for path in self._settings.read_paths.split(":") if path]
        options = {
            "folder": str(own),
            "bundle": str(self._bundle),
            "search": [str(path) for path in self._search],
            "artifacts": str(self.artifacts),
            "readable": [str(self._incoming), *self._session.grants, *self._rendered(access.read), *allowed],
            "writable": self._rendered(access.write),
            "memory_bytes": self._limits.memory_bytes,
            "output_bytes_max": self._output_bytes_max,
        }
        spec = ChildSpec(
            folder=self._bundle,
            environ=self._environ(own),
            limits=self._limits,
            options=options,
            session_id=self._session.session_id,
        )
        return self._zygote.spawn(spec)

    def _rendered(self, paths: tuple[str, ...]) -> list[str]:
        templates = Templates(environ=named_variables(self._settings.template_env))
        return [str(templates.render(path, {"input": self._session.input})) for path in paths]

    def _environ(self, own: Path) -> Mapping[str, str]:
        passed = named_variables(",".join((*CHILD_ENVIRON, self._settings.child_env)))
        return passed | {"HOME": str(own), "WINDLASS_SESSION_ID": self._session.session_id}


def named_variables(names: str) -> dict[str, str]:
    """The variables of this process whose names are listed, separated by commas."""
    wanted = {name.strip() for name in names.split(",")}
    return {name: value for name, value in os.environ.items() if name in wanted}


def _lower(allowed: int, asked: int | None) -> int:
    """What a cascade asked for, if the operator's setting allows that much."""
    return allowed if asked is None else min(allowed, asked)
