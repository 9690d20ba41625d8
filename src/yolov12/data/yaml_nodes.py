"""A YAML file as nodes that know their line: data and nothing else. Tags, aliases and a second document are refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from yolov12.data.files import read_regular_file, reason
from yolov12.errors import DataError, printable

MAX_BYTES, MAX_DEPTH = 1 << 20, 20
_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")


class Problems(list[str]):
    """Findings in one YAML file, each with its line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, node: yaml.Node, field: str, text: str) -> None:
        """Note what is wrong with `field`, at the line of `node`."""
        self.append(f"{printable(self.path)}:{node.start_mark.line + 1}: {field}: {text}")


def read_mapping(path: Path) -> yaml.MappingNode:
    """The top-level mapping, after the events (which need no recursion) have been found harmless."""
    try:
        raw = read_regular_file(path, MAX_BYTES)
    except OSError as error:
        raise DataError(f"{printable(path)}: {reason(error)}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(path)}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    try:
        _check_events(path, text)
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataError(f"{printable(path)}:{line}: YAML: {printable(error.problem)}") from error
    except yaml.YAMLError as error:
        raise DataError(f"{printable(path)}: YAML: {printable(error).splitlines()[0][:200]}") from error
    if not isinstance(root, yaml.MappingNode):
        raise DataError(f"{printable(path)}:1: YAML: expected 'key: value' lines such as 'train: images/train'")
    return root


def plain_mapping(path: Path) -> dict[str, Any]:
    """A whole YAML file as mappings, lists, texts and numbers; a key that comes twice is an error."""
    found = _plain(path, read_mapping(path))
    return dict(found)


def _plain(path: Path, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_plain(path, item) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        try:
            return yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError) as error:
            where = f"{printable(path)}:{node.start_mark.line + 1}"
            raise DataError(f"{where}: {shown(node)} is not a value that YAML knows") from error
    values: dict[str, Any] = {}
    for key, value in node.value:
        name = printable(str(key.value))[:80]
        if not is_text(key) or name in values:
            problem = "comes twice" if name in values else "is not a text"
            raise DataError(f"{printable(path)}:{key.start_mark.line + 1}: {name}: {problem}")
        values[name] = _plain(path, value)
    return values


def _check_events(path: Path, text: str) -> None:
    depth = documents = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        where = f"{printable(path)}:{line}: YAML:"
        if isinstance(event, yaml.AliasEvent):
            raise DataError(f"{where} aliases (*{printable(event.anchor)}) are not allowed")
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            raise DataError(f"{where} tags ({printable(event.tag)}) are not allowed: a data file holds no code")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise DataError(f"{where} nested more than {MAX_DEPTH} deep")
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise DataError(f"{where} a second document ('---') starts here")


def is_text(node: yaml.Node) -> bool:
    """Whether YAML takes the value for text."""
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str"


def kind(node: yaml.Node) -> str:
    """The type that YAML saw in an unquoted value."""
    name = node.tag.rsplit(":", 1)[-1]
    return {"map": "mapping", "seq": "list"}.get(name, name)


def shown(node: yaml.Node) -> str:
    """A value as it may appear in a message: short and printable."""
    return f"'{printable(node.value)[:80]}'" if isinstance(node, yaml.ScalarNode) else f"a {kind(node)}"


def text_of(node: yaml.Node, field: str, problems: Problems) -> str:
    """The text of a path, or a problem and '.'."""
    if is_text(node) and node.value and "\0" not in node.value:
        return str(node.value)
    problems.add(node, field, f"of type {kind(node)}; a path is expected" if not is_text(node) else "empty")
    return "."


def whole_number(node: yaml.Node) -> int | None:
    """0 or more, written plainly; None for anything else."""
    if isinstance(node, yaml.ScalarNode) and kind(node) == "int" and _WHOLE.fullmatch(node.value):
        return int(node.value)
    return None


def numbered(node: yaml.MappingNode, field: str, problems: Problems) -> list[tuple[int, yaml.Node]]:
    """The (class number, value) pairs of `{0: ..., 1: ...}`."""
    items = []
    for key, value in node.value:
        text = str(key.value)
        if isinstance(key, yaml.ScalarNode) and _WHOLE.fullmatch(text):
            items.append((int(text), value))
        else:
            problems.add(key, field, f"{printable(text)[:80]!r} is not a class number")
    return items
