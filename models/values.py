"""The base of the value types on the hot path.

They are plain classes with ``Final`` attributes: nothing changes one, and mypyc turns them into structures whose
attributes are read in a nanosecond (docs/decisions/0016). The interpreter would set a dataclass's attributes one by
one, and the attributes of a ``msgspec.Struct`` are looked up by name.
"""

from mypy_extensions import mypyc_attr

__all__ = ["Value"]


@mypyc_attr(acyclic=True)
class Value:
    """Two values are equal if all their attributes are equal. Values are not hashable."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in _attributes(self))

    __hash__ = None  # type: ignore[assignment] # some hold dictionaries

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in _attributes(self))
        return f"{type(self).__name__}({fields})"


def _attributes(value: Value) -> tuple[str, ...]:
    """The names of a value's attributes. A compiled class has no ``__slots__``; mypyc gives it a list of its own."""
    names: tuple[str, ...] = getattr(value, "__mypyc_attrs__", None) or value.__slots__
    return names
