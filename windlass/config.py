"""Settings: every `WINDLASS_*` name the engine obeys, read once at the start of a command.

Nothing here is accepted and ignored: a name that is not listed is an error, except for what
Kubernetes injects for a Service that happens to be called windlass.
"""

import os
import re
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from windlass.errors import OperatorError

_PREFIX = "WINDLASS_"


class Settings(BaseModel):
    """What can be set from outside. Each field `x` is the variable `WINDLASS_X`; see `load_settings`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Path = Field(default=Path("~/.windlass"), description="Folder for everything kept on this machine.")
    clickhouse_url: str = Field(
        default="", description="chdb:///folder, or http(s)://user:pass@host:8123/database."
    )
    clickhouse_path: str = Field(
        default="", description="Folder of the embedded store; clickhouse in WINDLASS_ROOT if it is empty."
    )
    clickhouse_host: str = Field(
        default="", description="Instead of a URL: the server's name; where windlass clickhouse listens."
    )
    clickhouse_port: int = Field(default=8123, ge=1, le=65535, description="Its HTTP port.")
    clickhouse_user: str = Field(default="default", description="Its user.")
    clickhouse_password: str = Field(default="", description="That user's password.")
    clickhouse_database: str = Field(default="windlass", description="The database that holds the tables.")
    clickhouse_cluster: str = Field(
        default="",
        description="Name of a ClickHouse cluster: tables are then created ON CLUSTER and replicated.",
    )
    store_wait_s: float = Field(
        default=120,
        gt=0,
        le=86_400,
        description="Seconds a session waits for a silent store before it is left to be resumed.",
    )
    fsync: bool = Field(
        default=True, description="fsync claims, checkpoints and submissions before they count."
    )
    retention_days: int = Field(default=90, ge=1, le=36500, description="How long log rows are kept.")
    writer_rows_max: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Rows waiting to be written before producers must wait.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="warning", description="How much the engine itself says on stderr."
    )
    memory_mb: int = Field(default=4096, ge=128, description="Memory a session's child may use, in MiB.")
    processes_max: int = Field(default=64, ge=1, description="Processes a session's child may have at once.")
    file_mb: int = Field(
        default=10_240, ge=1, description="Largest file a session's child may write, in MiB."
    )
    output_mb: int = Field(
        default=16, ge=1, le=512, description="Largest output value of a phase, in MiB of JSON."
    )
    log_kb: int = Field(
        default=1024, ge=1, description="Printed text kept of one phase, in KiB; the rest is counted."
    )
    depth_max: int = Field(default=8, ge=1, le=64, description="How deep sub-cascades may nest.")
    read_paths: str = Field(default="", description="Folders any cascade's SQL may read, separated by ':'.")
    child_env: str = Field(
        default="", description="Names of variables passed on to authors' code, separated by ','."
    )
    template_env: str = Field(
        default="", description="Names of variables templates may read, separated by ','."
    )
    http_private: bool = Field(
        default=True,
        description="May http phases call private and loopback addresses? Redirects to them never may.",
    )

    @property
    def home(self) -> Path:
        """`root` as an absolute path."""
        return self.root.expanduser().absolute()

    @property
    def store_folder(self) -> Path:
        """The folder of the embedded store, as an absolute path."""
        given = Path(self.clickhouse_path) if self.clickhouse_path else self.home / "clickhouse"
        return given.expanduser().absolute()

    @property
    def store_url(self) -> str:
        """Where the store is: the URL given, else one made of the host's parts, else the embedded folder."""
        if self.clickhouse_url:
            return self.clickhouse_url
        if self.clickhouse_host:
            who = f"{quote(self.clickhouse_user, safe='')}:{quote(self.clickhouse_password, safe='')}"
            return f"http://{who}@{self.clickhouse_host}:{self.clickhouse_port}/{self.clickhouse_database}"
        return f"chdb://{quote(str(self.store_folder))}"


def load_settings(environ: dict[str, str] | None = None) -> Settings:
    """Settings from the environment.

    Raises:
        OperatorError: a value is wrong, or a `WINDLASS_*` name is unknown.
    """
    names = os.environ if environ is None else environ
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    for name, value in names.items():
        if name.startswith(_PREFIX) and name not in known and not _is_kubernetes(name, value):
            raise OperatorError(f"{name} is not a setting of Windlass", hint=_closest(name, known))
    given = {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in names.items()
        if name in known and not _is_kubernetes(name, value)
    }
    try:
        return Settings(**given)  # pydantic parses the strings
    except ValidationError as error:
        first = error.errors()[0]
        name = _PREFIX + str(first["loc"][0]).upper()
        raise OperatorError(f"{name}: {first['msg']} (it is {first.get('input')!r})") from None


def _is_kubernetes(name: str, value: str) -> bool:
    """Is this one of the variables that Kubernetes sets for a Service called windlass?"""
    return (
        "_SERVICE_" in name
        or (re.search(r"_PORT(_|$)", name) is not None and value.startswith("tcp://"))
        or (re.search(r"_PORT_\d+_(TCP|UDP)", name) is not None)
    )


def _closest(name: str, known: set[str]) -> str:
    import difflib  # only on the way to an error

    # Without the prefix, which would make every name look like every other.
    bare = {other.removeprefix(_PREFIX) for other in known}
    near = difflib.get_close_matches(name.removeprefix(_PREFIX), bare, n=1, cutoff=0.5)
    return f"did you mean {_PREFIX}{near[0]}?" if near else ".env.example lists the names that exist"
