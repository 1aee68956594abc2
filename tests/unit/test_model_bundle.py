"""A bundle is a cascade with everything it needs, and its hash says which."""

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import AuthorError
from windlass.model import Bundle, load_cascade, make_bundle, parse_cascade, unpack_bundle
from windlass.model.bundle import bundle_of, check_name

FILES = Path(__file__).parent / "model_files"


def write(folder: Path, **files: str) -> Path:
    """Writes files; `__` in a name stands for a folder, the last `_` for the dot."""
    for name, text in files.items():
        stem, _, suffix = name.replace("__", "/").rpartition("_")
        path = folder / f"{stem}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_same_files_have_the_same_hash_wherever_they_are(tmp_path):
    bundles = []
    for place in ("one", "two/deep"):
        folder = write(
            tmp_path / place,
            main_yaml="cascade_id: m\nphases: [{name: a, sql: '@sql/q.sql'}]",
            sql__q_sql="SELECT 1",
            other_txt=place,
        )
        bundles.append(make_bundle(load_cascade(folder / "main.yaml")))
    assert bundles[0] == bundles[1] and bundles[0].to_bytes() == bundles[1].to_bytes()
    assert bundles[0].entry == "main.yaml" and set(bundles[0].files) == {"main.yaml", "sql/q.sql"}
    (tmp_path / "one/sql/q.sql").write_text("SELECT 2")
    assert make_bundle(load_cascade(tmp_path / "one/main.yaml")).hash != bundles[0].hash


def test_an_unpacked_bundle_makes_the_same_bundle_again(tmp_path):
    bundle = make_bundle(load_cascade(FILES / "first_windlass.json"))
    assert set(bundle.files) == {
        "first_windlass.json",
        "child.yaml",
        "prompts/write.md",
        "queries/top.sql",
        "count.sh",
        "lookup.tool.json",
        "old_tools.py",
    }
    entry = unpack_bundle(Bundle.from_bytes(bundle.to_bytes()), tmp_path / "unpacked")
    assert make_bundle(load_cascade(entry, within=tmp_path / "unpacked")) == bundle


def test_what_was_found_in_a_searched_folder_is_found_in_the_bundle_too(tmp_path):
    home = write(
        tmp_path / "home",
        cascades__child_yaml="cascade_id: child\nphases: [{name: x, tool: 'python:shared.f'}]",
        tackle__shared_py="import deeper\ndef f(): ...\n",
        tackle__deeper_py="",
    )
    write(tmp_path / "work", main_yaml="cascade_id: m\nphases: [{name: a, cascade: child}]")
    search = [home, home / "tackle", home / "cascades"]
    bundle = make_bundle(load_cascade(tmp_path / "work/main.yaml", search=search))
    assert set(bundle.files) == {"main.yaml", "_found/child.yaml", "_found/shared.py", "_found/deeper.py"}
    again = load_cascade(unpack_bundle(bundle, tmp_path / "there"))
    assert again.child("child").phases[0].tool == "python:shared.f"
    alone = load_cascade(again.children["child"], search=again.search)
    assert alone.named_files == (("shared.py", tmp_path / "there/_found/shared.py"),)
    assert make_bundle(again) == bundle


def test_files_above_the_cascade_come_under_their_common_root(tmp_path):
    write(
        tmp_path / "repo",
        shared__p_md="Hi",
        jobs__main_yaml="cascade_id: m\nphases: [{name: a, instructions: '@../shared/p.md'}]",
    )
    bundle = make_bundle(load_cascade(tmp_path / "repo/jobs/main.yaml"))
    assert set(bundle.files) == {"jobs/main.yaml", "shared/p.md"} and bundle.entry == "jobs/main.yaml"
    entry = unpack_bundle(bundle, tmp_path / "there")
    assert load_cascade(entry, within=tmp_path / "there").phases[0].instructions == "Hi"


def test_modules_that_code_imports_come_along_and_others_do_not(tmp_path):
    write(
        tmp_path,
        main_yaml=(
            "cascade_id: m\nphases:\n  - name: a\n"
            "    python: |\n      import json, near\n      from pack import part\n"
            "  - name: b\n    tool: python_data\n    inputs: {code: 'from loose.leaf import x'}\n"
        ),
        near_py="def later():\n    import far\n",
        far_py="import near",
        pack__part_py="from . import other",
        pack__other_py="",
        pack__data_txt="x",
        loose__leaf_py="x = 1",
        loose__stray_py="",
        unused_py="",
    )
    (tmp_path / "pack/__init__.py").touch()
    files = set(make_bundle(load_cascade(tmp_path / "main.yaml")).files)
    assert files == {
        "main.yaml",
        "near.py",
        "far.py",
        "pack/__init__.py",
        "pack/part.py",
        "pack/other.py",
        "pack/data.txt",
        "loose/leaf.py",
    }


def test_data_files_come_by_their_globs(tmp_path):
    write(
        tmp_path,
        main_yaml="cascade_id: m\nfiles: ['data/*.csv', more]\nphases: [{name: a, sql: s}]",
        data__a_csv="1",
        data__b_csv="2",
        data__c_txt="3",
        more__deep__d_txt="4",
    )
    files = make_bundle(load_cascade(tmp_path / "main.yaml")).files
    assert set(files) == {"main.yaml", "data/a.csv", "data/b.csv", "more/deep/d.txt"}
    assert files["data/b.csv"] == b"2"


def test_a_bundle_that_is_too_large_names_its_largest_file(tmp_path):
    write(tmp_path, main_yaml="cascade_id: m\nfiles: big.bin\nphases: [{name: a, sql: s}]")
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(AuthorError, match=r"the largest is 'big.bin' \(65.0 MiB\)") as caught:
        make_bundle(load_cascade(tmp_path / "main.yaml"))
    assert "access" in caught.value.hint


def test_a_cascade_without_a_file_has_a_bundle_too(tmp_path):
    bundle = make_bundle(parse_cascade("cascade_id: m\nphases: [{name: a, sql: s}]", source="-", folder=None))
    assert bundle.entry == "m.yaml" and load_cascade(unpack_bundle(bundle, tmp_path / "x")).cascade_id == "m"


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "", "a\\b", "C:/x", "a\nb", "a/", "x" * 2000]
)
def test_names_that_leave_the_folder_are_refused(name, tmp_path):
    with pytest.raises(AuthorError, match="unsafe name"):
        check_name(name)
    with pytest.raises(AuthorError, match="unsafe name"):
        unpack_bundle(Bundle("h", {"main.yaml": b"", name: b"x"}, "main.yaml"), tmp_path / "into")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "/evil"])
def test_an_archive_with_an_unsafe_name_is_refused(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = b'{"entry": "a"}'
        archive.writestr("a", b"")
        archive.writestr(name, b"x")
    with pytest.raises(AuthorError, match="unsafe name"):
        Bundle.from_bytes(buffer.getvalue())


@given(st.binary(max_size=200))
def test_data_that_is_no_bundle_is_refused(data):
    with pytest.raises(AuthorError):
        Bundle.from_bytes(data)


@given(st.data())
def test_a_damaged_bundle_is_refused_or_has_another_hash(data):
    bundle = bundle_of({"a.yaml": b"cascade_id: a", "b.txt": b"text " * 20}, "a.yaml")
    good = bundle.to_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    try:
        read = Bundle.from_bytes(bad)
    except AuthorError:
        return
    assert read.hash != bundle.hash or (read.files == bundle.files and read.entry == bundle.entry)


def test_a_bundle_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    impossible = bundle_of({"a": b"a file", "a/b": b"and a folder", "main.yaml": b""}, "main.yaml")
    with pytest.raises(OSError, match="a"):
        unpack_bundle(impossible, tmp_path / "into")
    assert list(tmp_path.iterdir()) == []


def test_what_became_of_an_unpacked_file_is_put_right(tmp_path):
    folder = write(
        tmp_path / "made", main_yaml="cascade_id: m\nphases: [{name: a, sql: '@sql/q.sql'}]", sql__q_sql="S"
    )
    bundle = make_bundle(load_cascade(folder / "main.yaml"))
    entry = unpack_bundle(bundle, tmp_path / "to")
    (tmp_path / "to" / "sql" / "q.sql").unlink()
    entry.write_text("cascade_id: n\nphases: [{name: a, sql: '@sql/q.sql'}]")
    assert make_bundle(load_cascade(unpack_bundle(bundle, tmp_path / "to"))).hash == bundle.hash


def test_several_processes_may_unpack_the_same_bundle_at_once(tmp_path):
    bundle = bundle_of({"a.yaml": b"x", **{f"d/{n}.txt": b"y" * 1000 for n in range(50)}}, "a.yaml")
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda _: unpack_bundle(bundle, tmp_path / "to" / bundle.hash), range(16)))
    assert set(entries) == {tmp_path / "to" / bundle.hash / "a.yaml"}
    assert [path.name for path in (tmp_path / "to").iterdir()] == [bundle.hash]
    assert len(list((tmp_path / "to" / bundle.hash / "d").iterdir())) == 50


names = st.text(alphabet="abc", min_size=1, max_size=3)


@given(st.dictionaries(names, st.binary(max_size=50), min_size=1, max_size=5), st.data())
def test_archives_keep_every_byte_and_the_hash_depends_on_all_of_it(files, data):
    entry = data.draw(st.sampled_from(sorted(files)))
    bundle = bundle_of(files, entry)
    assert Bundle.from_bytes(bundle.to_bytes()) == bundle
    turned = bundle_of(dict(reversed(files.items())), entry)
    assert turned.hash == bundle.hash and turned.to_bytes() == bundle.to_bytes()
    changed = data.draw(st.sampled_from(sorted(files)))
    assert bundle_of({**files, changed: files[changed] + b"!"}, entry).hash != bundle.hash
