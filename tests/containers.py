"""A ClickHouse server in a container, where Docker answers."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

IMAGE = "clickhouse/clickhouse-server:26.3"  # the oldest server that this suite is for
ANSWER_S_MAX = 20
START_S_MAX = 120


@contextmanager
def clickhouse_server() -> Iterator[str]:
    """The URL of a new server; the test is skipped, with the reason, where there can be none."""
    _skip_without_docker()
    from docker.errors import DockerException
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import HttpWaitStrategy

    # Its clean-up container would be one more image, and a connection that nobody closes; `with` cleans up.
    testcontainers_config.ryuk_disabled = True
    ready = HttpWaitStrategy(8123, "/ping").with_startup_timeout(START_S_MAX)
    container = DockerContainer(IMAGE).with_exposed_ports(8123).waiting_for(ready)
    container.with_env("CLICKHOUSE_USER", "default").with_env("CLICKHOUSE_PASSWORD", "test")
    with closing(container.get_docker_client().client):
        try:
            container.start()
        except DockerException as error:
            pytest.skip(f"Docker cannot start {IMAGE}: {error}")
        try:
            yield f"http://default:test@127.0.0.1:{container.get_exposed_port(8123)}/windlass"
        finally:
            container.stop()


def _skip_without_docker() -> None:
    # Asked through its command: the library leaves its connection open when nobody answers.
    if not shutil.which("docker"):
        pytest.skip("a ClickHouse server needs Docker, and there is no docker command")
    asked = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        capture_output=True,
        text=True,
        timeout=ANSWER_S_MAX,
    )
    if asked.returncode:
        pytest.skip(f"a ClickHouse server needs Docker: {asked.stderr.strip()}")
