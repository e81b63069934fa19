"""How 1.33 says what 1.20 said otherwise: a text is made of 1.20's before it is compared."""

import re

REWORDED = [(re.compile(old), new) for old, new in (
    (r"must be no more than (\d+) characters", r"must be no more than \1 bytes"),
    (r"must have at most (\d+) (?:characters|bytes)", r"may not be more than \1 bytes"),
    (r"must be a valid IP address$", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    (r"must be a valid IPv4 or IPv6 address", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    (r"must be valid CIDR$", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
    # Go's words for examples have lost a space.
    (r"',  or '", "', or '"),
)]
