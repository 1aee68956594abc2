"""A zygote for each file of the sandbox's tests, children that end with their test, and a guest's service."""

import os
import sys

import pytest

from tests.guest.guest_support import Session
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


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "weather.csv").write_text("day,rain\n2012-01-01,1.5\n2012-01-02,0\n2012-01-03,\n")
    (folder / "beside.py").write_text("def add(a, b=2):\n    return {'sum': a + b, '_route': 'next'}\n")
    here, path, environ = os.getcwd(), list(sys.path), dict(os.environ)
    yield folder
    os.chdir(here)
    sys.path[:] = path
    sys.dont_write_bytecode = False
    os.environ.clear()
    os.environ.update(environ)


@pytest.fixture
def session(tmp_path, bundle):
    made = Session(tmp_path / "session", bundle=bundle)
    yield made
    made.service.close()
