"""Mutations of an object: each is one change to one place, from what the schema says of it."""

import copy

LONG = "x" * 300
TEXTS = ["", "bad name_!", "Unknown", "-x", "UPPER", "0", " x", "a/b", "a.b", LONG, "é", "a\nb"]
NUMBERS = [0, 1, -1, 2, 65536, 2**31, 2**63, 1.5]
KEYS = ["", "-bad", "a/b/c", "UPPER/x", LONG, "ok"]
TIME = "2026-01-01T00:00:00Z"


def generated(type_, depth=3):
    """A value with every field, as deep as asked."""
    name = type_.name
    if name == "object":
        return {field: generated(type_.field(field), depth - 1) for field in type_.fields} if depth > 0 else {}
    if name == "map":
        return {"k": generated(type_.value(), depth - 1)}
    if name == "array":
        return [generated(type_.item(), depth - 1)]
    if name == "string":
        return {"date-time": TIME, "byte": "eA==", "int-or-string": 1}.get(type_.format, "1")
    return {"integer": 1, "number": 1.5, "boolean": True}.get(name, {})


def wrong(value):
    """Values of other types."""
    if isinstance(value, bool):
        return ["true", 1, {}]
    if isinstance(value, str):
        return [5, True, {}, ["x"]]
    if isinstance(value, (int, float)):
        return ["5", True, {}]
    return ["x", 5, {} if isinstance(value, list) else [], [5]]


def others(value, type_):
    """What to put in the place of a value: (label, value)."""
    yield "null", None
    for one in wrong(value):
        yield f"type {type(one).__name__}", one
    if isinstance(value, bool):
        yield "not", not value
    elif isinstance(value, (int, float)):
        yield from (("number", one) for one in NUMBERS if one != value)
    elif isinstance(value, str):
        yield from (("text", one) for one in TEXTS if one != value)
        yield "longer", value + "x"
        if type_.name == "string" and value[:1].isdigit():
            yield from (("quantity", one) for one in ("-1", "1m", "1.5Gi", "1e30", "5x"))
        if type_.format == "int-or-string":
            yield from (("either", one) for one in (0, -1, 70000, "50%", "200%", "x%"))
        if "." in value or ":" in value:
            yield from (("address", one) for one in ("1.2.3.4", "1.2.3.04", "::1", "0.0.0.0", "127.0.0.1", "169.254.1.1", "10.0.0.0/8"))
    elif isinstance(value, list):
        yield "empty", []
        yield "null item", value + [None]
        if value:
            yield "twice", value + [copy.deepcopy(value[0])]
            yield "without the first", value[1:]
            yield "backwards", value[::-1]
    elif isinstance(value, dict):
        yield "empty", {}
        if type_.name == "map":
            sample = next(iter(value.values()), "x")
            yield from (("key", {**value, key: sample}) for key in KEYS)
        else:
            yield "unknown field", {**value, "noSuchField": 1}


def additions(value, type_):
    """Values for fields that are not there: (field, label, value)."""
    for field in type_.fields:
        if field in value or field in ("apiVersion", "kind", "managedFields", "status"):
            continue
        added = type_.field(field)
        filled = generated(added)
        yield field, "add", filled
        if added.name in ("object", "array", "map", "any"):
            yield field, "add empty", [] if added.name == "array" else {}
            yield field, "add shallow", generated(added, 1)
        elif added.name == "string":
            yield from ((field, "add text", one) for one in ("", "x", "bad name_!", "/x/../y", "127.0.0.1", "Never", "None", "-1"))
        elif added.name == "integer":
            yield from ((field, "add number", one) for one in (0, -1, 70000, 2**31))
        elif added.name == "boolean":
            yield field, "add", False


def places(value, type_, path=()):
    """Everything in a value: (path, value, type)."""
    yield path, value, type_
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in steps:
        yield from places(one, type_.step(key), (*path, key))


class Mutation:
    """One change: at a path, with a label, to a value (`removed` where there is none)."""

    def __init__(self, path, label, value=None, removed=False):
        self.path, self.label, self.value, self.removed = path, label, value, removed

    def of(self, base):
        changed = copy.deepcopy(base)
        at = changed
        for key in self.path[:-1]:
            at = at[key]
        if self.removed:
            del at[self.path[-1]]
        else:
            at[self.path[-1]] = copy.deepcopy(self.value)
        return changed

    @property
    def where(self):
        return ".".join("[]" if isinstance(key, int) else key for key in self.path).replace(".[]", "[]")


def mutations(base, type_, skip=lambda path: False):
    """All of them, in order; those whose path `skip` holds for are left out."""
    for path, value, at in places(base, type_):
        if skip(path):
            continue
        if path:
            yield Mutation(path, "remove", removed=True)
            yield from (Mutation(path, label, one) for label, one in others(value, at))
        if isinstance(value, dict) and at.name == "object":
            yield from (
                Mutation((*path, field), label, one)
                for field, label, one in additions(value, at)
                if not skip((*path, field))
            )
