"""From a file to a cascade: reads it, finds what it names, reports everything that is wrong at once."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from windlass.model.cascade import Cascade, Found, is_shorthand
from windlass.model.check import phase_from, validated
from windlass.model.document import Document
from windlass.model.files import FOUND, Finder
from windlass.model.names import (
    check_python,
    check_schemas,
    check_targets,
    duplicate_names,
    missing_phase,
    written_names,
)
from windlass.model.phase import Phase
from windlass.model.problems import CascadeInvalid, Problem
from windlass.model.references import check_references
from windlass.model.template_text import check_templates
from windlass.model.yaml_text import TEXT_BYTES_MAX, read_document

# Sub-cascades that one cascade may bring with it; a fleet of them belongs in several deployments.
CASCADES_MAX = 500


def load_cascade(path: Path, *, search: Sequence[Path] = (), within: Path | None = None) -> Cascade:
    """The cascade in a YAML or JSON file, with every file and cascade it names checked.

    Args:
        path: the file.
        search: folders in which names are looked for after the cascade's own.
        within: where given, files outside of this folder (and of `search`) are not touched.

    Raises:
        CascadeInvalid: something is wrong, in it or in a cascade it uses; all of it is listed.
    """
    absolute = Path(os.path.abspath(path))
    loader = _Loader(_search(absolute.parent, search), within)
    cascade = loader.load_file(absolute, str(path))
    return _finished(cascade, loader.problems, str(path))


def parse_cascade(
    text: str, *, source: str, folder: Path | None, search: Sequence[Path] = (), within: Path | None = None
) -> Cascade:
    """The cascade in a text.

    Args:
        text: YAML or JSON.
        source: what errors call it.
        folder: where names in it are found, None if it may name no files of its own.
        search: folders in which names are looked for after that.
        within: where given, files outside of this folder (and of `search`) are not touched.

    Raises:
        CascadeInvalid: as for `load_cascade`.
    """
    base = Path(os.path.abspath(folder)) if folder is not None else None
    loader = _Loader(_search(base, search), within)
    cascade = loader.load_text(text, source=source, path=None, folder=base)
    return _finished(cascade, loader.problems, source)


def _finished(cascade: Cascade | None, problems: list[Problem], source: str) -> Cascade:
    if problems or cascade is None:
        raise CascadeInvalid(source, problems)
    return cascade


def _search(folder: Path | None, search: Sequence[Path]) -> tuple[Path, ...]:
    """The searched folders, and first the one where a bundle keeps what was found in them."""
    folders = [Path(os.path.abspath(base)) for base in search]
    if folder is not None and (folder / FOUND).is_dir():
        folders.insert(0, folder / FOUND)
    return tuple(dict.fromkeys(folders))


class _Loader:
    """Loads one cascade and those it uses, each file once; circles among them are fine."""

    def __init__(self, search: tuple[Path, ...], within: Path | None) -> None:
        self.problems: list[Problem] = []
        self._family: dict[Path, Cascade] = {}
        self._seen: set[Path] = set()
        self._search = search
        self._within = within

    def load_file(self, path: Path, source: str) -> Cascade | None:
        """The cascade in a file, or None with the reasons in `problems`."""
        self._seen.add(path)
        text, problem = _read(path, source)
        if problem:
            self.problems.append(problem)
            return None
        return self.load_text(text, source=source, path=path, folder=path.parent)

    def load_text(self, text: str, *, source: str, path: Path | None, folder: Path | None) -> Cascade | None:
        """The cascade in a text, or None with the reasons in `problems`."""
        try:
            document = read_document(text, source=source)
        except CascadeInvalid as error:
            self.problems.extend(error.problems)
            return None
        finder = Finder(folder, self._search, within=self._within)
        problems = list(document.problems)
        cascade = _head_and_phases(document, finder, problems)
        children: dict[str, Path] = {}
        if cascade is not None:

            def load_child(ref: str, child: Path) -> None:
                children[ref] = child
                self._load_child(child, folder=folder, source=source)

            problems += check_references(cascade, document=document, finder=finder, load_child=load_child)
            problems += _check_globs(cascade, document, folder)
            named = tuple(sorted(finder.named.items()))
            cascade._found = Found(
                document, text, source, path, folder, self._search, named, children, self._family
            )
            if path is not None:
                self._family[path] = cascade
        self.problems.extend(problems)
        return cascade

    def _load_child(self, child: Path, *, folder: Path | None, source: str) -> None:
        if child in self._seen:
            return
        if len(self._seen) >= CASCADES_MAX:
            self.problems.append(Problem(source, 0, 0, "", f"it uses more than {CASCADES_MAX} cascades"))
            return
        shown = str(child)
        if folder is not None and child.is_relative_to(folder):
            shown = os.path.join(os.path.dirname(source), os.path.relpath(child, folder))
        self.load_file(child, shown)


def _head_and_phases(document: Document, finder: Finder, problems: list[Problem]) -> Cascade | None:
    """The validated cascade; None when it can't be looked at any further."""
    raw = document.value
    if not isinstance(raw, dict):
        hint = "it begins with 'cascade_id: …' and has 'phases:'"
        problems.append(document.problem((), "a cascade is a mapping of keys", hint))
        return None
    phases, listed = _phases(raw, document, finder, problems)
    head: dict[str, Any] = {**raw}
    if "phases" in raw:
        head["phases"] = tuple(phases)
    cascade, found = validated(Cascade, head, base=(), document=document, context=finder)
    # An empty tuple stands for phases that are wrong in themselves, which is already said.
    problems += [problem for problem in found if not (problem.path == "phases" and listed)]
    known = written_names(listed)
    if known:
        problems += duplicate_names(listed, document)
        problems += check_targets(phases, known=known, document=document)
        problems += check_python(phases, document)
        problems += check_templates(phases, document)
    if cascade is None:
        cascade = _without_bad_keys(head, found, document, finder)
    if cascade is None:
        return None
    if cascade.on_failure:
        problems += missing_phase(("on_failure",), cascade.on_failure, known=known, document=document)
    schema = raw.get("inputs_schema")
    problems += check_schemas(cascade, document, shorthand=schema is None or is_shorthand(schema))
    return cascade


def _without_bad_keys(
    head: dict[str, Any], found: list[Problem], document: Document, finder: Finder
) -> Cascade | None:
    """The cascade as far as it is valid, so that the rest of its problems can be found as well."""
    bad = {problem.path.split(".")[0].split("[")[0] for problem in found}
    kept = {"cascade_id": "unnamed", **{key: value for key, value in head.items() if key not in bad}}
    return validated(Cascade, kept, base=(), document=document, context=finder)[0]


def _phases(
    raw: dict[str, Any], document: Document, finder: Finder, problems: list[Problem]
) -> tuple[list[Phase], list[Any]]:
    """The phases that are valid, and all of them as they were written."""
    listed = raw.get("phases")
    if not isinstance(listed, list):
        if listed is not None:
            hint = "write each as '- name: …'"
            problems.append(document.problem(("phases",), "the phases must be a list", hint))
            return [], [listed]
        return [], []
    phases = []
    for at, item in enumerate(listed):
        phase, found = phase_from(item, at=at, document=document, context=finder)
        problems += found
        if phase is not None:
            phases.append(phase)
    return phases, listed


def _check_globs(cascade: Cascade, document: Document, folder: Path | None) -> list[Problem]:
    """Globs under `files` that could leave the folder, or find nothing."""
    problems = []
    for at, pattern in enumerate(cascade.files):
        if os.path.isabs(pattern) or ".." in Path(pattern).parts or not pattern.strip():
            said = f"'{pattern}' must be a glob below the cascade's folder"
            problems.append(document.problem(("files", at), said, "files elsewhere are named under 'access'"))
        elif folder is None:
            said = f"'{pattern}' can't be found: this cascade was given as a text, without a folder"
            problems.append(document.problem(("files", at), said))
        elif not _fits_something(folder, pattern):
            problems.append(document.problem(("files", at), f"no file fits '{pattern}' in {folder}"))
    return problems


def _fits_something(folder: Path, pattern: str) -> bool:
    try:
        return next(folder.glob(pattern), None) is not None
    except (ValueError, NotImplementedError, OSError):
        return False  # the pattern is malformed, or a folder may not be read


def _read(path: Path, source: str) -> tuple[str, Problem | None]:
    """A file's text, or why it can't be read."""
    try:
        if path.is_dir():
            return "", Problem(source, 0, 0, "", "this is a folder, not a cascade's file")
        if path.stat().st_size > TEXT_BYTES_MAX:
            hint = "keep data in files of its own and name them under 'files'"
            return "", Problem(
                source, 0, 0, "", f"the file is larger than {TEXT_BYTES_MAX // 1024**2} MiB", hint
            )
        return path.read_bytes().decode("utf-8-sig"), None
    except FileNotFoundError:
        return "", Problem(source, 0, 0, "", "there is no such file")
    except UnicodeDecodeError as error:
        return "", Problem(source, 0, 0, "", f"the file is not UTF-8 text (byte {error.start})")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return "", Problem(source, 0, 0, "", f"the file can't be read: {reason}")
