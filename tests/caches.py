"""What the program keeps of what it computed, as far as tests have to know it."""

import functools
import importlib
import inspect
import pkgutil

BY_HAND = {"mcpguard.core.policy.arguments": "_known", "mcpguard.core.redaction.views.escapes": "_KNOWN"}
"""Dicts in which a module keeps results, without a decorator."""


def modules_of(package):
    """A package and all modules that are in it, imported."""
    module = importlib.import_module(package)
    yield module
    for inner in pkgutil.iter_modules(getattr(module, "__path__", ())):
        yield from modules_of(f"{package}.{inner.name}")


def cached_of(module):
    """The functions and methods of a module that keep their results."""
    own = [one for one in vars(module).values() if getattr(one, "__module__", None) == module.__name__]
    methods = [one for owner in own if inspect.isclass(owner) for one in vars(owner).values()]
    return [one for one in (*own, *methods) if isinstance(one, functools._lru_cache_wrapper)]


class Lazy:
    """A property of an object of a module that is computed when it is first asked for; as a dict that `BY_HAND` names."""

    def __init__(self, owner, name):
        self._kept, self._name = vars(owner), name

    def __len__(self):
        return self._name in self._kept

    def clear(self):
        """Have it computed again."""
        self._kept.pop(self._name, None)  # Two modules may have the object.


def lazy_of(module):
    """Those of the objects that are in a module."""
    for one in vars(module).values():
        kind = type(one)
        if kind.__module__.startswith("mcpguard.") and hasattr(one, "__dict__"):
            names = [name for name, what in vars(kind).items() if isinstance(what, functools.cached_property)]
            yield from (Lazy(one, name) for name in names)


class Caches:
    """Caches that forget what was computed while nobody counted branches: a test that counts and finds a result there
    would not reach the branches that lead to it."""

    def __init__(self, cached, by_hand=()):
        self._cached = list(cached)
        self._by_hand = list(by_hand)
        self._before = []
        self.keep()

    def keep(self):
        """Take what they hold now for computed while branches were counted."""
        self._before = self._state()

    def forget(self):
        """Empty those that have computed something since."""
        for one, before, now in zip(
            (*self._cached, *self._by_hand), self._before, self._state(), strict=True
        ):
            if now != before:
                (one.clear if isinstance(one, dict | Lazy) else one.cache_clear)()

    def _state(self):
        return [one.cache_info().misses for one in self._cached] + [len(one) for one in self._by_hand]
