import math

import pytest
from field_types import INT, listed

from dspy_sidecar.values.coercion import coercion_of
from dspy_sidecar.values.numbers import decimal_number, number_text, whole_number
from dspy_sidecar.values.violations import MAX_VIOLATIONS, RefusedError


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (7, "7"),
        (7.0, "7"),
        (-2.5, "-2.5"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (1e-7, "1e-7"),
        (-1.25e-9, "-1.25e-9"),
        (123456.789, "123456.789"),
        (2.0**60, "1152921504606847000"),
        (1e21, "1e+21"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
    ],
)
def test_a_number_has_the_text_that_javascript_gives_it(number, text):
    assert number_text(number) == text


def test_reads_the_numbers_in_texts():
    assert whole_number("\ufeff 0042\u3000") == 42
    assert whole_number("-9007199254740991") == -(2**53 - 1)
    for text in ["", "4.5", "0x10", "1_000", "\u0661", "9007199254740992", "9" * 5_000]:
        assert whole_number(text) is None
    assert whole_number("0" * 5_000 + "7") == 7
    assert decimal_number(" -.5e1 ") == -5.0
    assert math.copysign(1, decimal_number("-0")) == 1
    for text in ["NaN", "inf", "1e999", "1_0.0", "", "."]:
        assert decimal_number(text) is None


def test_a_refusal_has_at_most_the_maximum_of_violations():
    with pytest.raises(RefusedError) as raised:
        coercion_of(listed(listed(INT)))([["x"] * 1_000] * 1_000)
    assert len(raised.value.violations) == MAX_VIOLATIONS
