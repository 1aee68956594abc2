"""What phases leave is stored, comes back elsewhere, and can only be the session's own."""

from pathlib import Path
from typing import Any

import pytest

from windlass.errors import AuthorError
from windlass.records import SavedFile, SavedObject
from windlass.runner import Keeper
from windlass.runner.keeper import INLINE_BYTES_MAX


@pytest.fixture
def keeper(engine: Any, tmp_path: Path) -> Keeper:
    return keeper_in(engine, tmp_path / "here")


def keeper_in(engine: Any, place: Path) -> Keeper:
    folder = place / "session"
    folder.mkdir(parents=True)
    artifacts = engine.store.artifacts
    return Keeper(artifacts=artifacts, folder=folder, incoming=place / "incoming", gallery=place / "gallery")


@pytest.mark.parametrize("size", [0, 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1])
def test_a_saved_table_comes_back_with_the_same_bytes_in_another_place(
    keeper: Keeper, engine: Any, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "here/session/t.parquet"
    path.write_bytes(bytes(n % 251 for n in range(size)))
    stored = keeper.store_objects(
        [SavedObject("_t", "table", "CREATE …", path=str(path), rows=3, bytes=size)]
    )
    assert ("inline" in stored[0]) == (size <= INLINE_BYTES_MAX)
    (found,) = keeper_in(engine, tmp_path / "elsewhere").fetch_objects(stored)
    assert Path(found.path).read_bytes() == path.read_bytes()
    assert (found.name, found.kind, found.ddl, found.rows) == ("_t", "table", "CREATE …", 3)


def test_an_artifact_is_shown_and_given_to_later_phases_elsewhere(
    keeper: Keeper, engine: Any, tmp_path: Path
) -> None:
    path = tmp_path / "here/session/chart.svg"
    path.write_text("<svg/>")
    stored = keeper.store_files([SavedFile("charts/chart.svg", str(path), bytes=6)])
    assert (tmp_path / "here/gallery/charts/chart.svg").read_text() == "<svg/>"
    keeper_in(engine, tmp_path / "elsewhere").fetch_files(stored, into=tmp_path / "elsewhere/session")
    assert (tmp_path / "elsewhere/gallery/charts/chart.svg").read_text() == "<svg/>"
    assert (tmp_path / "elsewhere/session/charts/chart.svg").read_text() == "<svg/>"


def test_a_file_outside_the_sessions_folder_is_never_stored(keeper: Keeper, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("secret")
    link = tmp_path / "here/session/link"
    link.symlink_to(outside)
    for path in (outside, link):
        with pytest.raises(AuthorError, match="not in its session's folder"):
            keeper.store_objects([SavedObject("_t", "table", "", path=str(path))])
        with pytest.raises(AuthorError, match="not in its session's folder"):
            keeper.store_files([SavedFile("x", str(path))])


def test_an_artifact_whose_name_leads_out_of_its_folder_is_refused(keeper: Keeper, tmp_path: Path) -> None:
    path = tmp_path / "here/session/x"
    path.write_text("x")
    with pytest.raises(AuthorError, match="leads out of its folder"):
        keeper.store_files([SavedFile("../../x", str(path))])
