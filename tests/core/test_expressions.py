import re

import pytest

from mcpguard.core.expressions import expression


def test_an_expression_does_what_a_compiled_one_does() -> None:
    made, compiled = expression(r"(?P<a>b+)", re.IGNORECASE), re.compile(r"(?P<a>b+)", re.IGNORECASE)
    for _ in range(2):
        assert made.sub("c", "aBb") == compiled.sub("c", "aBb") == "ac"
        assert [one.span() for one in made.finditer("b bb")] == [(0, 1), (2, 4)]
    assert (made.pattern, made.flags, made.groupindex) == (
        compiled.pattern,
        compiled.flags,
        compiled.groupindex,
    )


def test_a_mistake_is_raised_at_the_first_use() -> None:
    made = expression(b"(")
    with pytest.raises(re.error):
        made.search(b"x")


def test_its_text_is_known_without_compiling_it() -> None:
    made = expression(b"(")
    assert made.pattern == b"("
