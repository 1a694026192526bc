"""One question about a text, or about a list of texts.

Law of this file: a list has an answer only where it has texts and all of them have the same one. So neither a
rule that allows what is within nor one that refuses what is within lets a list through for one of its texts.
"""

from __future__ import annotations

from collections.abc import Callable

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.web.networks import as_list


def of_each(texts: str | list[str], test: Callable[[str], bool]) -> bool:
    """The answer of `test` for a text, or for every text of a list. Raises FunctionError as `test` does for
    any of them, for a list without any, for one whose texts have different answers, and as `as_list` does."""
    if isinstance(texts, str):
        return test(texts)
    answers = {test(text) for text in as_list(texts)}
    if len(answers) != 1:
        raise FunctionError("a list must not be empty, and the answer must be the same for each text")
    return answers.pop()
