"""How 1.33 says what 1.20 said otherwise, and how a place in an object is told."""

import re

REWORDED = [(re.compile(old, re.S), new) for old, new in (
    (r"must be no more than (\d+) characters", r"must be no more than \1 bytes"),
    (r"must have at most (\d+) (?:characters|bytes)", r"may not be more than \1 bytes"),
    (r"must be a valid IP address$", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    (r"must be a valid IPv4 or IPv6 address", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    (r"must be valid CIDR$", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
    (r"(must be a valid IPv4 address|must be a valid IPv6 address)$", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    (r"not a valid CIDR$", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
    (r"failed to create typed patch object \([^)]*\)", "failed to create typed patch object"),
    (r"requests and volumeAttributesClassName for bound", "requests for bound"),
    # Which part of a struct may not change, in Go's syntax.
    (r"^(Forbidden: .*?)\s+(?:core|v1|field)\.\w+\{.*", r"\1"),
    # Go's words for examples have lost a space.
    (r"',  or '", "', or '"),
)]
TEMPLATE = re.compile(r"^(spec\.jobTemplate\.spec\.template|spec\.template|template)\b")


def place(field):
    field = re.sub(r"\[[^\]]*\]", "[]", field)
    return TEMPLATE.sub("{template}", field)
