"""A zygote for each file of tests of the sandbox, and children that end with their test."""

import os

import pytest

from tests.guest.sandbox_support import SERVICE
from windlass.sandbox import (
    ChildLimits,
    ChildSpec,
    Zygote,
)


@pytest.fixture(scope="module")
def zygote():
    with Zygote(service=SERVICE, preload=["json"]) as zygote:
        yield zygote


@pytest.fixture
def spawn(zygote, tmp_path):
    children = []

    def spawn(*, options=None, environ=None, by=zygote, **limits):
        given = {"memory_bytes": 512 << 20, "processes": 20, "file_bytes": 1 << 20} | limits
        environ = {"PATH": os.environ["PATH"]} if environ is None else environ
        spec = ChildSpec(
            folder=tmp_path,
            environ=environ,
            limits=ChildLimits(**given),
            options=options or {},
            session_id="s-1",
        )
        children.append(by.spawn(spec))
        return children[-1]

    yield spawn
    for one in children:
        one.kill()
