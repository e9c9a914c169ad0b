"""What a change of the contract would break for those who publish or read by the version before it."""

from collections.abc import Iterator
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]


def breaking_changes(old: Schema, new: Schema, *, published: bool = False) -> list[str]:
    """Return, one line each, how the JSON Schema `new` breaks publishers or readers of `old`.

    Breaking are: a field removed or newly required, a value of a closed field removed, a bound tightened, and
    another JSON type. New optional fields and new values are not. For what is `published` to readers, a
    field that may newly be absent or null breaks them, and a newly required one does not.
    """
    return list(_compare("$", old, new, (old, new, published)))


def _compare(path: str, old: Schema, new: Schema, roots: tuple[Schema, Schema, bool]) -> Iterator[str]:
    if roots[2] and _nullable(new, roots[1]) and not _nullable(old, roots[0]):
        yield f"{path} may newly be null"
    old, new = _resolve(old, roots[0]), _resolve(new, roots[1])
    yield from _compare_scalars(path, old, new)
    yield from _compare_required(path, old, new, published=roots[2])
    fields = new.get("properties", {})
    for name, schema in old.get("properties", {}).items():
        if name in fields:
            yield from _compare(f"{path}.{name}", schema, fields[name], roots)
        else:
            yield f"{path}.{name} was removed"
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        yield from _compare(f"{path}[]", old["items"], new["items"], roots)


def _compare_required(path: str, old: Schema, new: Schema, *, published: bool) -> Iterator[str]:
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    if not published:
        yield from (f"{path}.{name} is newly required" for name in sorted(after - before))
    else:
        kept = before & set(new.get("properties", ()))
        yield from (f"{path}.{name} may newly be absent" for name in sorted(kept - after))


def _compare_scalars(path: str, old: Schema, new: Schema) -> Iterator[str]:
    """Compare types, closed values and bounds at one place."""
    if _types(old) - _types(new):
        yield f"{path} no longer takes {', '.join(sorted(_types(old) - _types(new)))}"
    gone = set(map(str, old.get("enum", ()))) - set(map(str, new.get("enum", ())))
    if gone and "enum" in new:
        yield f"{path} no longer takes the values {', '.join(sorted(gone))}"
    if "enum" in new and "enum" not in old:
        yield f"{path} is newly closed"
    for bound in ("maximum", "maxLength", "maxItems"):
        if bound in new and new[bound] < old.get(bound, float("inf")):
            yield f"{path} has a lower {bound}"
    for bound in ("minimum", "minLength", "minItems"):
        if bound in new and new[bound] > old.get(bound, float("-inf")):
            yield f"{path} has a higher {bound}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{path} has another pattern"


def _nullable(schema: Schema, root: Schema) -> bool:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    return any(option.get("type") == "null" for option in schema.get("anyOf", ()))


def _types(schema: Schema) -> set[str]:
    kind = schema.get("type")
    if kind is None:
        return {"string"} if "enum" in schema else set()
    return set(kind) if isinstance(kind, list) else {kind}


def _resolve(schema: Schema, root: Schema) -> Schema:
    """Follow references, and read `X or null` as X: null means absent everywhere in the contract."""
    seen: Schema = schema
    while True:
        if "$ref" in seen:
            seen = root["$defs"][seen["$ref"].rsplit("/", 1)[1]]
        elif "anyOf" in seen:
            seen = next(option for option in seen["anyOf"] if option.get("type") != "null")
        else:
            return seen
