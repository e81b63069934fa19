"""What differs between two answers, as signatures: texts that are the same for what has the same cause."""

import json
import re

from words import REWORDED

# What a server makes up, or when.
MADE_UP = ("uid", "resourceVersion", "creationTimestamp", "selfLink", "managedFields", "deletionTimestamp")
# Forms of requests whose code is that of all kinds.
SHARED = ("list", "delete collection", "get", "delete", "odd patch", "apply", "unusual")
TEMPLATE = re.compile(r"^(spec\.jobTemplate\.spec\.template|spec\.template|template)\b")
STRUCT = re.compile(r"^(?:v1\w*|core|\[\]|map\[|\{|\[|field\.|\(\*|labels|\"\{).*?[}\])]: ", re.S)


def compare(case, theirs, ours):
    """(class, signature) for each difference."""
    return [(class_, general(case, signature)) for class_, signature in differences(case, theirs, ours)]


def general(case, signature):
    """Without the names of the kind, where they do not matter."""
    if case.family not in SHARED:
        return signature
    kind = case.kind
    for name, general in ((kind.plural, "{resource}"), (kind.kind, "{kind}"), (kind.version, "{version}"), (kind.version.split("/")[0], "{group}")):
        if name != "v1":
            signature = re.sub(rf"\b{re.escape(name)}\b", general, signature)
    return signature.replace("{resource}.{group}", "{resource}")


def differences(case, theirs, ours):
    # What is asked of every kind in the same way has the same cause for all of them.
    name = case.family if case.family in SHARED else case.kind.kind
    (their_code, their_body), (our_code, our_body) = theirs, ours
    if 0 in (their_code, our_code):
        # A handler that panics closes the connection.
        return [] if our_code else [("no answer", name)]
    if their_code < 400 and our_code >= 400:
        return [("refused here", f"{name}: {line}") for line in complaints(our_body)]
    if our_code < 400 and their_code >= 400:
        return [("accepted here", f"{name}: {line}") for line in complaints(their_body)]
    if their_code < 400:
        return [("other object", f"{name}: {line}") for line in objects(case, their_body, our_body)]
    if their_code != our_code or reason(their_body) != reason(our_body):
        return [("other status", f"{name}: {their_code} {reason(their_body)} -> {our_code} {reason(our_body)}: {message(our_body)}")]
    if causes(their_body) or causes(our_body):
        return [("other causes", f"{name}: {line}") for line in told_otherwise(complaints(their_body), complaints(our_body))]
    if their_code == 400 and case.family not in ("list", "delete collection"):
        # Decoders of two languages, each in its own words.
        return []
    there, here = message(their_body), message(our_body)
    return [] if there == here else [("other message", f"{name}: {there_and(there, here)}")]


def there_and(there, here):
    return f"{there} -> {here}"


def reason(status):
    return status.get("reason", "") if isinstance(status, dict) else "(no status)"


def causes(status):
    details = status.get("details") if isinstance(status, dict) else None
    return (details or {}).get("causes") or []


def complaints(status):
    """One line for each cause, or the message where there are none."""
    found = [f"{cause.get('reason', '')} {place(cause.get('field', ''))}: {told(cause)}" for cause in causes(status)]
    return found or [f"{reason(status)}: {message(status)}"]


def told_otherwise(there, here):
    """What only one of the two complains of; two complaints about one field are one that is told in other words."""
    there, here = sorted(set(there) - set(here)), sorted(set(here) - set(there))
    for line in list(there):
        same = [other for other in here if other.split(": ")[0].split(" ")[-1] == line.split(": ")[0].split(" ")[-1]]
        if len(same) == 1:
            there.remove(line)
            here.remove(same[0])
            yield f"{line} -> {same[0]}"
    yield from (f"only there: {line}" for line in there)
    yield from (f"only here: {line}" for line in here)


def told(cause):
    # A patch that cannot be decoded: in the words of two decoders.
    return "" if cause.get("field") == "patch" else words(cause.get("message", ""))


def message(status):
    return words(status.get("message", "") if isinstance(status, dict) else str(status))


def place(field):
    field = re.sub(r"\[[^\]]*\]", "[]", field)
    return TEMPLATE.sub("{template}", field)


def words(text):
    """A message without what it quotes; the words of 1.20 become those of 1.33."""
    text = text.replace("<nil>", "null")
    for old, new in REWORDED:
        text = old.sub(new, text)
    head, colon, rest = text.partition(" value: ")
    if colon and head in ("Invalid", "Duplicate", "Unsupported"):
        text = f"{head}: {without_value(rest)}"
    keep = text.find("supported values:")
    head, tail = (text, "") if keep < 0 else (text[:keep], text[keep:])
    head = re.sub(r'"(?:[^"\\]|\\.)*"', '"…"', head)
    head = re.sub(r"\b\d{4,}\b", "N", head)
    head = re.sub(r"\[\d+\]", "[]", head)
    return " ".join((head + tail).split())[:400]


def without_value(rest):
    quoted = re.match(r'"(?:[^"\\]|\\.)*"(: |$)', rest, re.S)
    if quoted:
        return rest[quoted.end():]
    struct = STRUCT.match(rest)
    if struct:
        # The value is a struct, which the two print in the syntax of their languages: what follows the last of it.
        end = max(rest.rfind("}: "), rest.rfind("]: "), rest.rfind("): "), rest.rfind('"}": '))
        return rest[end:].split(": ", 1)[1] if end >= 0 else rest
    return rest.split(": ", 1)[1] if ": " in rest else ""


def objects(case, theirs, ours):
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
    elif a != b and not times(a, b):
        yield f"{place(path)}: {short(a)} -> {short(b)}"


def times(a, b):
    """Both are of now."""
    return all(isinstance(one, str) and re.match(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$", one) for one in (a, b))


def short(value):
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
