"""A test that counts branches does not find what another one has computed."""

from functools import cache, cached_property

from tests.caches import BY_HAND, Caches, Lazy, cached_of, lazy_of, modules_of


class Squares:
    """One function that keeps its results, and how often it computed."""

    def __init__(self):
        self.computed = 0

        @cache
        def square(number):
            self.computed += 1
            return number * number

        self.of = square


def test_what_was_computed_while_nobody_counted_is_computed_again():
    squares, by_hand = Squares(), {}
    caches = Caches([squares.of], [by_hand])
    squares.of(3)
    by_hand[3] = 9
    caches.forget()
    assert not by_hand
    squares.of(3)
    assert squares.computed == 2


def test_what_was_computed_while_branches_were_counted_is_kept():
    squares, by_hand = Squares(), {}
    caches = Caches([squares.of], [by_hand])
    squares.of(3)
    by_hand[3] = 9
    caches.keep()
    squares.of(3)  # Nobody counts, and nothing is computed.
    caches.forget()
    assert by_hand == {3: 9}
    squares.of(3)
    assert squares.computed == 1


def test_functions_and_methods_are_found_where_they_are_defined():
    found = {
        f"{one.__module__}.{one.__qualname__}"
        for module in modules_of("mcpguard.core")
        for one in cached_of(module)
    }
    assert {
        "mcpguard.core.conditions.engines.engine_for",
        "mcpguard.core.conditions.cel_python.PythonEngine.parsed",
    } <= found


def test_what_is_kept_by_hand_is_there():
    modules = {module.__name__: module for module in modules_of("mcpguard.core")}
    for name, kept in BY_HAND.items():
        assert isinstance(vars(modules[name])[kept], dict)


class Late:
    """It computes when it is first asked."""

    @cached_property
    def found(self):
        return object()


def test_a_property_that_was_computed_while_nobody_counted_is_computed_again():
    late = Late()
    caches = Caches([], [Lazy(late, "found")])
    caches.forget()
    first = late.found
    caches.forget()
    second = late.found
    assert second is not first
    caches.keep()
    caches.forget()
    assert late.found is second


def test_properties_of_objects_of_modules_are_found():
    naming = next(one for one in modules_of("mcpguard.core") if one.__name__.endswith("paths.naming"))
    assert len(list(lazy_of(naming))) >= 2
