"""How two objects, lists or tables differ: a line for each place."""

import json
import re

from words import place

# What a server makes up, or when.
MADE_UP = ("uid", "resourceVersion", "creationTimestamp", "selfLink", "managedFields", "deletionTimestamp")


def differences(case, theirs, ours):
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        if type(theirs) is not type(ours):
            return [f"{type(theirs).__name__} -> {type(ours).__name__}"]
        return []
    if theirs.get("kind") != ours.get("kind") or theirs.get("apiVersion") != ours.get("apiVersion"):
        return [f"{theirs.get('apiVersion')} {theirs.get('kind')} -> {ours.get('apiVersion')} {ours.get('kind')}"]
    if theirs.get("kind") == "Table":
        return table(theirs, ours)
    if theirs.get("kind") == "Status":
        for one in (theirs, ours):
            one.get("details", {}).pop("uid", None)
        return list(walk("", theirs, ours))
    if "items" in theirs and "items" in ours:
        return list(listed(case, theirs, ours))
    return list(walk("", comparable(case, theirs), comparable(case, ours)))


def comparable(case, one):
    if one.get("kind") == case.kind.kind:
        one = case.kind.type.common(one)
    metadata = {key: value for key, value in (one.get("metadata") or {}).items() if key not in MADE_UP}
    return {**one, "metadata": metadata}


def listed(case, theirs, ours):
    for field in ("continue", "remainingItemCount"):
        pair = [bool(one.get("metadata", {}).get(field)) for one in (theirs, ours)]
        if pair[0] != pair[1]:
            yield f"metadata.{field}: {'set -> absent' if pair[0] else 'absent -> set'}"
    items = [{one["metadata"]["name"]: one for one in side["items"] or [] if "name" in one.get("metadata", {})} for side in (theirs, ours)]
    for name in sorted(set(items[0]) ^ set(items[1])):
        yield f"only {'there' if name in items[0] else 'here'}: {name}"
    for name in sorted(set(items[0]) & set(items[1])):
        yield from walk("items[]", comparable(case, {"kind": case.kind.kind, **items[0][name]}), comparable(case, {"kind": case.kind.kind, **items[1][name]}))


def table(theirs, ours):
    columns = [[(one["name"], one["type"], one["format"], one["priority"]) for one in side.get("columnDefinitions") or []] for side in (theirs, ours)]
    if columns[0] != columns[1]:
        yield f"columns {json.dumps(columns[0])} -> {json.dumps(columns[1])}"
        return
    for there, here in zip(theirs.get("rows") or [], ours.get("rows") or []):
        for column, a, b in zip(columns[0], there["cells"], here["cells"]):
            if a != b and column[0] != "Age" and not (column[2] == "date"):
                yield f"cell {column[0]}: {short(a)} -> {short(b)}"
        yield from walk("object", *({key: one for key, one in (row.get("object") or {}).items() if key != "metadata"} for row in (there, here)))


def is_empty(value):
    """What Go writes where a struct or a slice has nothing in it, and other languages leave out."""
    if isinstance(value, dict):
        return all(is_empty(one) for one in value.values())
    return value is None or value == "" or value == []


def walk(path, a, b):
    """Where two values differ; what is empty is as good as absent, but `false` and 0 may be answers."""
    if is_empty(a) and is_empty(b):
        return
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            below = f"{path}.{key}" if path else key
            if is_empty(a.get(key)) and is_empty(b.get(key)):
                continue
            if key not in a:
                yield f"{place(below)}: absent -> {short(b[key])}"
            elif key not in b:
                yield f"{place(below)}: {short(a[key])} -> absent"
            else:
                yield from walk(below, a[key], b[key])
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for one, other in zip(a, b):
            yield from walk(f"{path}[]", one, other)
    elif a != b and not made_up(a, b):
        yield f"{place(path)}: {short(a)} -> {short(b)}"


def made_up(a, b):
    """Both are times, or addresses or ports that a server has chosen."""
    texts = (r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", r"10\.43\.\d+\.\d+")
    if isinstance(a, str) and isinstance(b, str):
        return any(re.fullmatch(form, a) and re.fullmatch(form, b) for form in texts)
    return all(type(one) is int and 30000 <= one <= 32767 for one in (a, b))


def short(value):
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
