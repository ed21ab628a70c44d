"""Fixed-point numbers, plain decimals and domains (chapter 1).

Millionths and billionths are Python integers; a double becomes one in `admit` alone.
"""

import re

ONE = 1_000_000
NANO = 1_000_000_000


class BadNumber(ValueError):
    """A double that is not a number in [0, 1]."""


def admit(x):
    """A double of the wire as millionths, half to even; refused outside [0, 1]."""
    x = float(x)
    if not 0.0 <= x <= 1.0:  # NaN compares false
        raise BadNumber(f"number is not in [0, 1]: `{x}`")
    return round(x * 1e6)


def read(x):
    """A published double as the millionths it stands for."""
    return round(float(x) * 1e6)


def publish(millionths):
    """The double that stands for these millionths."""
    return millionths / 1e6


def weight(authority, confidence, trust):
    """What an endorsement or challenge weighs."""
    return authority * confidence * trust // (ONE * ONE)


def ceil_sqrt(x):
    """The least integer whose square is at least x."""
    from math import isqrt

    root = isqrt(x)
    return root if root * root == x else root + 1


DECIMAL = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?\Z", re.ASCII)


def decimal(text):
    """(sign, magnitude, digits) of a plain decimal, ready to compare; None if it is not one.

    The magnitude is the power of ten before the first digit that is not zero, so that numbers of
    one sign compare by magnitude, then by digits, however large the exponent is.
    """
    match = DECIMAL.match(text)
    if match is None:
        return None
    sign, whole, fraction, exponent = match.groups()
    digits = whole + (fraction or "")
    stripped = digits.lstrip("0")
    if not stripped:
        return (0, 0, "")
    magnitude = len(whole) - (len(digits) - len(stripped)) + big(exponent or "0")
    return (-1 if sign == "-" else 1, magnitude, stripped.rstrip("0"))


def big(text):
    """An integer of any length: `int` refuses more than some thousand digits."""
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    value = 0
    for at in range(0, len(digits), 1000):
        part = digits[at : at + 1000]
        value = value * 10 ** len(part) + int(part)
    return sign * value


def less(x, y):
    """Whether one plain decimal, as `decimal` gave it, is less than another."""
    if x[0] != y[0]:
        return x[0] < y[0]
    if x[0] < 0:
        return y[1:] < x[1:]
    return x[1:] < y[1:]


def is_blank(text):
    """Whether a text is empty or white space; str.strip() takes U+001C to U+001F for that too."""
    return re.fullmatch(r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*", text)


def is_domain(text):
    """Whether a text is a domain as policies and agents may name it."""
    return not re.search(r"(^|\.)(\.|\Z)|[* \x00-\x1f\x7f]", text)


def covers(prefix, domain):
    """Whether a prefix covers a domain, by whole segments."""
    return prefix != "" and (domain == prefix or domain.startswith(prefix + "."))


def matches(pattern, domain):
    """Whether a pattern covers a domain; `*` covers every one."""
    return pattern == "*" or covers(pattern, domain)


def closeness(pattern):
    """Of two patterns that match, the greater is the closer."""
    return (pattern != "*", len(pattern.encode()))
