"""Tables of small cases: one test that checks every row."""

import functools
import inspect

import pytest

PARAM = type(pytest.param(None))


def each(names, rows, ids=None):
    """As `pytest.mark.parametrize`, but one test: pytest takes a millisecond for a test, and many a row takes a
    tenth of that. All rows are checked, also after one has failed, and each failure names its row.

    For tests that leave nothing behind: the rows share the fixtures. `ids` has a title for each row, or makes one of a value.
    Rows are plain: none is a `pytest.param`.
    """
    words = [names] if isinstance(names, str) else list(names)
    rows = list(rows)
    assert not any(isinstance(row, PARAM) for row in rows), "a `pytest.param` is for pytest.mark.parametrize"
    table = [(row,) if len(words) == 1 else tuple(row) for row in rows]
    name = ids if callable(ids) else repr
    titles = (
        ["-".join(str(name(value)) for value in row) for row in table]
        if ids is None or callable(ids)
        else list(ids)
    )

    def decorate(test):
        @functools.wraps(test)
        def check(**fixtures):
            failures = []
            for title, row in zip(titles, table, strict=True):
                try:
                    test(**dict(zip(words, row, strict=True)), **fixtures)
                except Exception as failure:
                    failure.add_note(f"Row: {title}")
                    failures.append(failure)
            if failures:
                raise ExceptionGroup(f"{len(failures)} of {len(table)} rows fail", failures)

        signature = inspect.signature(test)
        kept = [one for name, one in signature.parameters.items() if name not in words]
        check.__signature__ = signature.replace(parameters=kept)
        return check

    return decorate
