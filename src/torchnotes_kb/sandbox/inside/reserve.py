"""Modules imported ahead of time and kept out of sight until a program imports them.

An optimizer, a checkpoint or `torch.func` makes torch import its compiler: eight hundred modules,
more than a second. The worker does that once, for all runs. No program may notice: without an
import `torch.distributed.fsdp` has to stay the AttributeError that it is in a fresh interpreter. So
what was imported is taken out of `sys.modules` and off its packages again, and put back when a
program imports it.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import random
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from typing import Any


class _Group:
    """What came with some imports."""

    def __init__(self) -> None:
        self.modules: dict[str, Any] = {}
        self.on_packages: list[tuple[Any, str, Any]] = []
        """A package that stays in sight, what it calls one of the modules, and the module."""
        self.exits: list[tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]] = []
        """What is to be called at exit."""
        self.filters: list[Any] = []
        """Filters put before the other warning filters."""


class Reserve:
    """An importer of modules that were executed before; the first on `sys.meta_path`.

    Groups are shown in their order, up to the one that is asked for: a later one may have found
    modules of an earlier one there and not have imported them again.
    """

    def __init__(self) -> None:
        self._groups: list[_Group] = []
        self._generators: list[random.Random] = []

    def fill(self, *groups: Sequence[str]) -> None:
        """Import modules, as far as there are such, and hide them with all that came along.

        Raises:
            BaseException: what an import raises. No program may run in this process then: half of
                what was imported is neither there nor can it be imported again.
        """
        packages = {name: (module, dict(vars(module))) for name, module in _with_attributes()}
        filters = list(warnings.filters)
        self._groups += [_import(names) for names in groups]
        warnings.filters[:] = filters  # type: ignore[index]
        for group in self._groups:
            _hide(group, packages)
            found = [vars(module).values() for module in group.modules.values() if _is_open(module)]
            values = (value for values in found for value in values)
            self._generators += [value for value in values if isinstance(value, random.Random)]
        sys.meta_path.insert(0, self)

    def reseed(self) -> None:
        """Give the modules' own generators states that no other run has."""
        for generator in self._generators:
            generator.seed()

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """As the import system asks: a hidden module is known here, every other elsewhere."""
        for group in self._groups:
            if name in group.modules:
                original = getattr(group.modules[name], "__spec__", None)
                is_package = hasattr(group.modules[name], "__path__")
                origin = original.origin if original else None
                spec = ModuleSpec(name, self, origin=origin, is_package=is_package)  # type: ignore[arg-type]
                spec.loader_state = original
                return spec
        return None

    def create_module(self, spec: ModuleSpec) -> Any:
        """Show the module and all that its import brings along."""
        while any(spec.name in group.modules for group in self._groups):
            _show(self._groups.pop(0))
        return sys.modules[spec.name]

    def exec_module(self, module: Any) -> None:
        """It has been executed; only its spec, which was just replaced, is put back."""
        if module.__spec__.loader is self:
            module.__spec__ = module.__spec__.loader_state


def reseed() -> None:
    """Likewise, wherever there is a reserve in this process."""
    for finder in sys.meta_path:
        if isinstance(finder, Reserve):
            finder.reseed()


def _with_attributes() -> list[tuple[str, Any]]:
    return [(name, module) for name, module in sys.modules.items() if _is_open(module)]


def _is_open(module: object) -> bool:
    return hasattr(module, "__dict__")


def _import(names: Sequence[str]) -> _Group:
    group, before = _Group(), set(sys.modules)
    filters, register, filling = list(warnings.filters), atexit.register, True

    def note(function: Any, *args: Any, **kwargs: Any) -> Any:
        if not filling:  # some module kept it
            return register(function, *args, **kwargs)
        group.exits.append((function, args, kwargs))
        return function

    atexit.register = note  # type: ignore[assignment]
    try:
        for name in names:
            if importlib.util.find_spec(name) is not None:
                importlib.import_module(name)
    finally:
        atexit.register, filling = register, False
    group.modules = {name: module for name, module in sys.modules.items() if name not in before}
    group.filters = [entry for entry in warnings.filters if entry not in filters]
    return group


def _hide(group: _Group, packages: dict[str, tuple[Any, dict[str, Any]]]) -> None:
    for name in group.modules:
        del sys.modules[name]
        parent, _, child = name.rpartition(".")
        if parent not in packages:
            continue
        package, original = packages[parent]
        if child in vars(package):
            group.on_packages.append((package, child, vars(package)[child]))
            if child in original:
                setattr(package, child, original[child])
            else:
                delattr(package, child)


def _show(group: _Group) -> None:
    sys.modules.update(group.modules)
    for package, child, module in group.on_packages:
        setattr(package, child, module)
    for function, args, kwargs in group.exits:
        atexit.register(function, *args, **kwargs)
    for action, message, category, module, line in reversed(group.filters):
        pattern, place = (part.pattern if part else "" for part in (message, module))
        warnings.filterwarnings(action, pattern, category, place, line)
