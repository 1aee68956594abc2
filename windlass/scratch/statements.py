"""An author's SQL, cut into statements, and what of it a phase may not do.

DuckDB's own parser cuts, its own tokenizer names; nothing here guesses at quotes or comments. The rules
guard against mistakes, not against malice: Python code in the same child could open any file it may read.
What malice could do is bounded by the child's limits and by DuckDB's own confinement.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from windlass.scratch.errors import ScratchError

# Statements that would undo what the scratch relies on, by DuckDB's name for the kind, and why.
_REFUSED = {
    "ATTACH": "attaches another database",
    "DETACH": "detaches a database",
    "LOAD": "loads an extension; extensions can't be downloaded here",
    "TRANSACTION": "ends the phase's transaction; each phase is one, committed when the phase is done",
    "PREPARE": "prepares a statement; bind values with `params` instead",
    "EXECUTE": "runs a prepared statement; bind values with `params` instead",
    "EXPORT": "writes a whole database; use COPY … TO with a file name",
    "COPY_DATABASE": "copies a whole database",
    "VACUUM": "maintains the file, which the engine does itself",
}
# What CREATE may not make, because a worker that resumes the session could not make it again.
_REFUSED_OBJECTS = {
    "SEQUENCE": "a sequence can't be saved with the phase; use row_number() OVER ()",
    "SCHEMA": "tables live in one schema; give the table a longer name",
    "SECRET": "secrets belong in the cascade's settings, not in the scratch",
    "TRIGGER": "a trigger can't be saved with the phase",
}
_ROW_KINDS = {"SELECT", "EXPLAIN", "PRAGMA", "CALL", "MULTI", "RELATION"}
_CHANGE_KINDS = {"INSERT", "UPDATE", "DELETE", "MERGE_INTO"}
_MODIFIERS = {"OR", "REPLACE", "TEMP", "TEMPORARY", "LOCAL", "GLOBAL", "UNIQUE", "PERSISTENT", "RECURSIVE"}
# Settings that change how one phase reads its own files and nothing else.
_ALLOWED_SETTINGS = {"VARIABLE"}
# Ways of writing to a table, as the words before its name. ONLY, IF EXISTS and TABLE may follow them.
_WRITES = re.compile(
    r"\b(?:INSERT (?:OR (?:REPLACE|IGNORE) )?INTO|MERGE INTO|UPDATE|DELETE FROM|TRUNCATE(?: TABLE)?"
    r"|(?:DROP|ALTER) (?:TABLE|VIEW|MACRO TABLE|MACRO|FUNCTION|TYPE)(?: IF EXISTS)?"
    r"|OR REPLACE (?:TEMP |TEMPORARY )?(?:TABLE|VIEW|MACRO|FUNCTION|TYPE)"
    r"|CREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?(?:<\d+> )?ON"
    r"|COMMENT ON (?:TABLE|VIEW|COLUMN)) <(\d+)>"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of SQL: where it starts (in characters), its kind and its text."""

    at: int
    kind: str
    text: str

    @property
    def name(self) -> str:
        """The identifier as the catalog compares it: without quotes, in lower case."""
        return _unquote(self.text).lower()


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of an author's text.

    Attributes:
        text: the statement, with its semicolon if it has one.
        line: the 1-based line of the whole text on which it starts.
        kind: DuckDB's word for it: SELECT, INSERT, CREATE …
        tokens: its words, comments left out.
        parameters: the names of what must be bound ("1", "2" for `?`).
    """

    text: str
    line: int
    kind: str
    tokens: tuple[Token, ...]
    parameters: frozenset[str]

    @property
    def words(self) -> tuple[str, ...]:
        """The tokens' texts in upper case, for comparing with keywords."""
        return tuple(token.text.upper() for token in self.tokens)

    @property
    def returns_rows(self) -> bool:
        """True when the statement's answer is rows that the author asked for, not a count of changes."""
        return self.kind in _ROW_KINDS or (self.kind in _CHANGE_KINDS and "RETURNING" in self.words)

    @property
    def is_query(self) -> bool:
        """True when `CREATE TABLE x AS` may be put before it."""
        return self.kind == "SELECT" and self.words[:1] not in (
            ("DESCRIBE",),
            ("SHOW",),
            ("SUMMARIZE",),
            ("DESC",),
        )

    @property
    def changes_catalog(self) -> bool:
        """True unless the statement only reads; a PIVOT makes a type on its way."""
        return self.kind not in ("SELECT", "EXPLAIN", "PRAGMA", "MULTI", "SET")

    @property
    def creates(self) -> tuple[str, str]:
        """(TABLE | VIEW | MACRO | TYPE | …, name) of a CREATE, else ("", "")."""
        if self.kind != "CREATE":
            return "", ""
        rest = [token for token in self.tokens[1:] if token.text.upper() not in _MODIFIERS]
        kind = rest[0].text.upper() if rest else ""
        names = [token for token in rest[1:] if token.text.upper() not in ("IF", "NOT", "EXISTS", "TABLE")]
        return ("MACRO" if kind == "FUNCTION" else kind), (names[0].name if names else "")


def split_statements(text: str) -> list[Statement]:
    """The statements of `text`, in order.

    Raises:
        duckdb.Error: the text is not SQL.
    """
    import duckdb

    found = []
    start = 0
    for parsed in duckdb.extract_statements(text):
        at = text.find(parsed.query, start)
        at = start if at < 0 else at
        start = at + len(parsed.query)
        found.append(
            Statement(
                text=parsed.query,
                line=text.count("\n", 0, at) + 1,
                kind=parsed.type.name,
                tokens=tuple(_tokens(parsed.query)),
                parameters=frozenset(parsed.named_parameters),
            )
        )
    return found


def check_statement(statement: Statement, *, protected: Collection[str]) -> None:
    """Refuse what a phase may not do.

    Args:
        statement: one statement of the phase.
        protected: lower-case names of what other phases made.

    Raises:
        ScratchError: the statement is refused; the message says why and names the table.
    """
    reason = _REFUSED.get(statement.kind, "")
    if statement.kind == "SET" and not _ALLOWED_SETTINGS & set(statement.words[1:2]):
        reason = "changes a setting; the scratch's settings are fixed"
    created = statement.creates[0]
    if created in _REFUSED_OBJECTS:
        raise ScratchError(f"CREATE {created} is refused: {_REFUSED_OBJECTS[created]}", line=statement.line)
    if reason:
        raise ScratchError(f"the statement is refused: it {reason}", line=statement.line)
    for token in _written(statement):
        if token.name in protected:
            line = statement.line + statement.text.count("\n", 0, token.at)
            raise read_only(_unquote(token.text), line=line)


def read_only(name: str, *, line: int = 0) -> ScratchError:
    """The error for a change of what an earlier phase made."""
    return ScratchError(
        f"{name} was made by an earlier phase and is read-only here",
        hint=f"select what you want from {name} into a table of this phase's own",
        line=line,
    )


def redirect_copy(statement: Statement, *, artifacts: Path, writable: Sequence[Path]) -> str:
    """The text of a `COPY … TO 'file'`, with a relative file put below the session's artifacts.

    Raises:
        ScratchError: the file is outside of what the session may write, or not a plain text.
    """
    target = _copy_target(statement)
    if target is None:
        return statement.text
    if target.kind != "string_const" or not target.text.startswith("'"):
        raise ScratchError("COPY … TO needs the file's name as plain text in quotes", line=statement.line)
    name = target.text[1:-1].replace("''", "'")
    path = Path(artifacts, name).resolve()
    if not any(path.is_relative_to(folder.resolve()) for folder in (artifacts, *writable)):
        raise ScratchError(
            f"COPY … TO {name!r} would write outside of the session's folders",
            hint="a relative name is put below the session's artifacts",
            line=statement.line,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    quoted = "'" + str(path).replace("'", "''") + "'"
    return statement.text[: target.at] + quoted + statement.text[target.at + len(target.text) :]


def quote_name(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _copy_target(statement: Statement) -> Token | None:
    """The token after the TO of a COPY that writes a file, or None for other statements."""
    if statement.kind != "COPY":
        return None
    depth = 0
    for index, token in enumerate(statement.tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.text.upper() == "FROM":
            return None
        if depth == 0 and token.text.upper() == "TO" and index + 1 < len(statement.tokens):
            return statement.tokens[index + 1]
    return None


def _written(statement: Statement) -> Iterator[Token]:
    """The names that the statement changes, wherever in it (a CTE may change data too)."""
    tokens = statement.tokens
    line = " ".join(
        f"<{index}>" if _is_name(token) else token.text.upper() for index, token in enumerate(tokens)
    )
    for match in _WRITES.finditer(line):
        yield _last_part(tokens, int(match.group(1)))
    # DROP takes a list of names, and COPY x FROM has its verb after the name.
    words = statement.words
    if statement.kind == "DROP":
        yield from (token for token in tokens[1:] if _is_name(token))
    if statement.kind == "COPY" and len(tokens) > 1 and _copy_target(statement) is None:
        yield _last_part(tokens, 1)
    if statement.kind == "UPDATE" and words[:1] == ("UPDATE",) and len(tokens) > 1:
        yield _last_part(tokens, 1)


def _is_name(token: Token) -> bool:
    """Could this token be the name of a table? Keywords that are common in statements are none."""
    return token.kind == "identifier" or token.text.startswith('"') or token.kind == "string_const"


def _last_part(tokens: Sequence[Token], index: int) -> Token:
    """The last part of a name that starts at `index`: of scratch.main.x that is x."""
    while index + 2 < len(tokens) and tokens[index + 1].text == ".":
        index += 2
    return tokens[index]


def _tokens(text: str) -> Iterator[Token]:
    import duckdb

    data = text.encode()
    found = [(at, kind.name) for at, kind in duckdb.tokenize(text)]
    for number, (at, kind) in enumerate(found):
        end = found[number + 1][0] if number + 1 < len(found) else len(data)
        word = data[at:end].decode(errors="replace").strip()
        if kind != "comment" and word:
            yield Token(at=len(data[:at].decode(errors="replace")), kind=kind, text=word)


def _unquote(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].replace(text[0] * 2, text[0])
    return text
