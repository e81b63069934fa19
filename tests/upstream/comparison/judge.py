"""What differs between two answers, as signatures: texts that are the same for what has the same cause."""

import re

from objects import differences as of_objects
from words import REWORDED, place

# Forms of requests whose code is that of all kinds.
SHARED = ("list", "delete collection", "get", "delete", "odd patch", "apply", "unusual")
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
    if max(their_code, our_code) >= 400 and case.family == "table":
        name = case.family
    if 0 in (their_code, our_code):
        # A handler that panics closes the connection.
        return [] if our_code else [("no answer", name)]
    if their_code < 400 and our_code >= 400:
        return [("refused here", f"{name}: {line}") for line in complaints(our_body)]
    if our_code < 400 and their_code >= 400:
        return [("accepted here", f"{name}: {line}") for line in complaints(their_body)]
    if their_code < 400:
        return [("other object", f"{name}: {line}") for line in of_objects(case, their_body, our_body)]
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
    head = re.sub(r"UID in precondition: .*", "UID in precondition", head)
    head = re.sub(r"\*\w+\.\w+", "*…", head)
    head = re.sub(r"\bin the precondition \(\d+\).*", "in the precondition", head)
    # 1.33 has them in the order of the alphabet.
    tail = re.sub(r'(?:"[^"]*", )+"[^"]*"', lambda all_: ", ".join(sorted(all_.group().split(", "))), tail)
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
