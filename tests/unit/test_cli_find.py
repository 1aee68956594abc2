"""A cascade is found by its file, its folder, its id or its file's name."""

import pytest

from windlass.cli.find import find_cascade
from windlass.errors import NotFound

TEXT = "cascade_id: {}\nphases: [{{name: a, python: 'result = 1'}}]\n"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home" / "cascades"
    folder.mkdir(parents=True)
    (folder / "file_name.yaml").write_text(TEXT.format("its_id"))
    (folder / "json_one.json").write_text('{"cascade_id": "json_id", "phases": []}')
    (folder / "notes.yaml").write_text("just: notes\n")
    return tmp_path / "home"


def test_a_file_is_found_by_its_path(home):
    path = home / "cascades" / "file_name.yaml"
    assert find_cascade(str(path), home=home) == path


@pytest.mark.parametrize(
    ("name", "file"),
    [("its_id", "file_name.yaml"), ("file_name", "file_name.yaml"), ("json_id", "json_one.json")],
)
def test_an_installed_cascade_is_found_by_id_and_by_file_name(home, name, file):
    assert find_cascade(name, home=home) == home / "cascades" / file


def test_a_folder_holds_the_cascade_of_its_name(home, tmp_path):
    folder = tmp_path / "weather"
    folder.mkdir()
    (folder / "weather.yaml").write_text(TEXT.format("w"))
    assert find_cascade(str(folder), home=home) == folder / "weather.yaml"
    (folder / "weather.yaml").unlink()
    with pytest.raises(NotFound, match="without a cascade"):
        find_cascade(str(folder), home=home)


def test_what_is_not_there_is_said_with_what_is_near(home):
    with pytest.raises(NotFound) as told:
        find_cascade(str(home / "cascades" / "file_nam.yaml"), home=home)
    assert "file_name.yaml" in told.value.hint
    with pytest.raises(NotFound) as told:
        find_cascade("its_idd", home=home)
    assert "its_id" in told.value.hint
    with pytest.raises(NotFound) as told:
        find_cascade("zzzzzzzz", home=home)
    assert "known by name" in told.value.hint
    with pytest.raises(NotFound) as told:
        find_cascade("no/such/folder/x.yaml", home=home)
    assert "no folder" in told.value.hint
