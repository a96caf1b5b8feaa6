"""Quantities, such as `100m` or `1Gi`: as numbers, and as the API gives them back. Pure.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_FORM = re.compile(
    r"([+-]?)(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_SMALLEST = -9
# More digits than any quantity needs, and few enough to count with.
_LONGEST = 64


def is_quantity(value: Any) -> bool:
    """Tell whether a value has the form of a quantity."""
    return _FORM.fullmatch(str(value)) is not None


def quantity(value: Any) -> float:
    """Return a quantity, such as `50m` or `128Mi`, as a number of whole units (cores, bytes).

    Raises:
        ValueError: It is no quantity.
    """
    found = _FORM.fullmatch(str(value))
    if found is None:
        raise ValueError(f"{value!r} is no quantity")
    sign, digits, exponent, suffix = found.groups()
    if suffix in _BINARY[1:]:
        factor = 1024.0 ** _BINARY.index(suffix)
    else:
        factor = 10.0 ** int(exponent or _DECIMAL[suffix or ""])
    return float(sign + digits) * factor


def canonical(value: Any) -> Any:
    """Return a quantity without fraction and with the largest suffix that allows for that.

    `0.1` becomes `100m`, `1024Mi` becomes `1Gi`; what is no quantity stays as it is.
    """
    found = _FORM.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if found is None or isinstance(value, bool) or len(found[0]) > _LONGEST:
        return value
    sign, digits, exponent, suffix = found.groups()
    number = Fraction(digits)
    if suffix in _BINARY[1:]:
        number *= 1024 ** _BINARY.index(suffix)
        # Below 1024 the real server turns to decimal suffixes, so that nothing is rounded.
        if number >= 1024:
            return _shown(sign, *_binary(number))
    else:
        number *= Fraction(10) ** int(exponent or _DECIMAL[suffix or ""])
    count, power = _decimal(number)
    if exponent is not None:
        return _shown(sign, count, f"e{power}" if power else "")
    names = {power: name for name, power in _DECIMAL.items()}
    return _shown(sign, count, names[power])


def _binary(number: Fraction) -> tuple[int, str]:
    count, step = -(-number.numerator // number.denominator), 0
    while count % 1024 == 0 and step < len(_BINARY) - 1:
        count, step = count // 1024, step + 1
    return count, _BINARY[step]


def _decimal(number: Fraction) -> tuple[int, int]:
    """Return a mantissa and a power of ten; what is less than 1n is rounded up."""
    number *= 10**-_SMALLEST
    count, power = -(-number.numerator // number.denominator), _SMALLEST
    if count == 0:
        return 0, 0
    while count % 1000 == 0 and power < max(_DECIMAL.values()):
        count, power = count // 1000, power + 3
    return count, power


def _shown(sign: str, count: int, suffix: str) -> str:
    return f"{'-' if sign == '-' and count else ''}{count}{suffix}"
