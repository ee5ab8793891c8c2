"""Numbers in texts, and texts of numbers, as the gateway reads and writes them."""

import math
import re

MAX_INTEGER = 2**53 - 1
"""Beyond it, several integers are the same number in JSON and in protobuf's Struct."""

# What JavaScript's trim() removes; Python's strip() removes other characters too.
BLANKS = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
WHOLE = re.compile(rf"[{BLANKS}]*([+-]?)0*([0-9]+)[{BLANKS}]*")
DECIMAL = re.compile(
    rf"[{BLANKS}]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[{BLANKS}]*"
)
MAX_DIGITS = len(str(MAX_INTEGER))

# JavaScript writes a number without an "e" if its point stands between these places.
MIN_PLAIN_EXPONENT, MAX_PLAIN_EXPONENT = -6, 21


def whole_number(text: str) -> int | None:
    """The integer in a text: digits, a sign, blanks around; None if there is none in range."""
    found = WHOLE.fullmatch(text)
    if not found or len(found[2]) > MAX_DIGITS:
        return None
    number = int(found[1] + found[2])
    return number if is_exact(number) else None


def decimal_number(text: str) -> float | None:
    """The finite number in a text in decimal notation; None if there is none."""
    found = DECIMAL.fullmatch(text)
    return finite(float(found[1])) if found else None


def finite(number: float) -> float | None:
    """A number as a float, 0 for -0; None if no finite float holds it."""
    try:
        made = float(number)
    except OverflowError:
        return None
    return made + 0.0 if math.isfinite(made) else None


def is_exact(number: float) -> bool:
    """Whether an integer, or a float without a fraction, is within 2^53-1."""
    return -MAX_INTEGER <= number <= MAX_INTEGER


def number_text(number: float) -> str:
    """The shortest decimal of a finite number, as JavaScript writes it."""
    if number == int(number) and abs(number) < 10**15:
        return str(int(number))
    mantissa, _, exponent = repr(float(number)).partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0").rstrip("0")
    # The place of the point, counted from the first digit that is not 0.
    point = int(exponent or 0) + (
        len(whole) if whole != "0" else len(fraction.lstrip("0")) - len(fraction)
    )
    sign = "-" if number < 0 else ""
    if MIN_PLAIN_EXPONENT < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if 0 < point <= MAX_PLAIN_EXPONENT:
        plain = digits.ljust(point, "0")
        return sign + plain[:point] + (f".{plain[point:]}" if len(plain) > point else "")
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"
