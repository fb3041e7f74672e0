"""From a TOML file and what overrides it to an experiment, and back."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import ConfigurationError
from ..storage import toml
from ..storage.atomic import written_file
from ..text.printable import shortened
from .specification import CODE, Experiment

LARGEST = 4 << 20  # bytes of an experiment file


def read_experiment(path: str | Path | None = None, overrides: Iterable[Mapping[str, Any]] = ()) -> Experiment:
    """
    Reads the experiment of a TOML file.

    Args:
        path: The file; `None`: one that says all defaults.
        overrides: Tables that go over it, the last on top.

    Raises:
        ConfigurationError: if the file cannot be read, or anything in it has no meaning; the message names all of it.
    """
    source = "the defaults" if path is None else str(path)
    tables = Experiment().model_dump(exclude_none=True) if path is None else _parse(Path(path))
    of_file = _references(tables)
    for override in overrides:
        tables, of_file = _over(tables, override), of_file - _references(override)
    try:
        return Experiment.model_validate(tables).read_from_file(of_file)
    except ValidationError as error:
        problems = [_problem(entry) for entry in error.errors(include_url=False)]
        raise ConfigurationError(
            f"{source} cannot be run:\n" + "\n".join(f"- {problem}" for problem in problems)
        ) from None


def assignments(texts: Iterable[str]) -> dict[str, Any]:
    """
    Tables from `training.steps=50`; a value is what it would be in the file, else text.

    Raises:
        ConfigurationError: if there is no key or no value.
    """
    tables: dict[str, Any] = {}
    for text in texts:
        key, nested = toml.assignment(text)
        if not all(part.strip().isidentifier() for part in key.split(".")):
            raise ConfigurationError(f"'{text}' sets nothing. Give table.key=value, e.g. training.steps=50.")
        for part in reversed(key.split(".")):
            nested = {part.strip(): nested}
        tables = _over(tables, nested)
    return tables


def write_experiment(experiment: Experiment, path: Path) -> None:
    """Writes all of it, defaults included, as TOML."""
    import tomli_w

    with written_file(path) as unfinished:
        unfinished.write_text(tomli_w.dumps(experiment.model_dump(exclude_none=True)))


def _parse(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ConfigurationError(f"{path} has {size} bytes, but an experiment file has at most {LARGEST}.")
        return toml.loads(path.read_bytes().decode())
    except (toml.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error


def _references(tables: Mapping[str, Any]) -> frozenset[str]:
    """Returns the `module:function` that tables hold where code can be named."""
    places = [(tables.get(table), key) for table, key in CODE]
    found = [table.get(key) for table, key in places if isinstance(table, Mapping)]
    return frozenset(name for name in found if isinstance(name, str) and ":" in name)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `above` where it says something, `below` elsewhere."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _over(result[key], value) if both else value
    return result


def _problem(entry: Any) -> str:
    place = ".".join(map(str, entry["loc"]))
    if entry["type"] != "extra_forbidden":
        return f"{place} = {shortened(repr(entry['input']))}: {entry['msg'][0].lower()}{entry['msg'][1:]}."
    known = list(_table_at(entry["loc"][:-1]).model_fields)
    close = difflib.get_close_matches(str(entry["loc"][-1]), known, n=1)
    hint = f" Did you mean {'.'.join([*map(str, entry['loc'][:-1]), close[0]])}?" if close else ""
    return f"{place} is not known.{hint} Known here: {', '.join(known)}."


def _table_at(location: tuple[Any, ...]) -> type[BaseModel]:
    table: type[BaseModel] = Experiment
    for part in location:
        annotation = table.model_fields[part].annotation
        candidates = (annotation, *getattr(annotation, "__args__", ()))
        table = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return table
