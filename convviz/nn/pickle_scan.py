"""What a pickle would make, read from its instructions: none of them is followed.

torch's own reader (`weights_only=True`) calls nothing but functions it knows. Here the same is found out beforehand, to
say which class a file asks for; and what that reader does not bound is: how much the known functions are made to
allocate or to count, and whether tensors lie within their storages.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, Final, NamedTuple

MOST_INSTRUCTIONS: Final = 1_500_000
"""So many a pickle may have: those of 50 000 tensors."""
MOST_WORK: Final = 1 << 25
"""So many values may be hashed or copied by the functions that a pickle calls."""
MOST_DIMENSIONS: Final = 64
"""As numpy has it."""


class ForeignClassError(Exception):
    """A pickle asks for a class or function that no file of tensors needs.

    Attributes:
        name: with its module.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class CutShortError(Exception):
    """A pickle ends before its end."""


class OddPickleError(Exception):
    """A pickle is not as `torch.save` writes it."""


class ProtocolError(OddPickleError):
    """A pickle is written in another version of the format than `torch.save` uses by itself."""


class TooMuchError(OddPickleError):
    """Following a pickle would take too long."""


class Storage(NamedTuple):
    """Numbers that tensors lie in.

    Attributes:
        num_elements: how many there are.
        element_size: in bytes.
        packed: how many numbers of a tensor are in an element.
    """

    num_elements: int
    element_size: int
    packed: int = 1


@dataclass(frozen=True)
class Scan:
    """What a pickle would make.

    Attributes:
        value: its object: numbers, text, None as they are, a list as a list of such; anything else stands for itself.
        storages: that its tensors lie in, by key.
    """

    value: object
    storages: dict[str, Storage]


_ELEMENT_SIZES: Final = {
    **dict.fromkeys(("Bool", "Byte", "Char", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4", "Untyped"), 1),
    **dict.fromkeys(("Short", "Half", "BFloat16"), 2),
    **dict.fromkeys(("Int", "Float", "QInt32"), 4),
    **dict.fromkeys(("Long", "Double", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
_PACKED: Final = {"QUInt4x2": 2, "QUInt2x4": 4}
_STORAGE: Final = re.compile(r"torch\.(?:cuda\.|storage\.)?(\w+)Storage")
_TYPE: Final = re.compile(
    r"torch\.(?:bool|(?:b?float|b?complex|q?u?int|bits)\d\w*|per_(?:tensor|channel)_\w+|(?:\w+\.){0,2}\w*Tensor)"
    r"|torch\.nn\.parameter\.Parameter"
)

_MODULES: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""What modules were called in Python 2, as protocol 2 has it."""

_DICT: Final = "collections.OrderedDict"
_SIZE: Final = "torch.Size"
_SPARSE: Final = "torch._utils._rebuild_sparse_tensor"
_ANY_TENSOR: Final = "torch._tensor._rebuild_from_type_v2"
_TENSORS: Final = {
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_qtensor",
}
_PARAMETERS: Final = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
_TEXTS: Final = {"_codecs.encode", "builtins.bytearray"}
_FUNCTIONS: Final = {
    *(_DICT, _SIZE, _SPARSE, _ANY_TENSOR, *_TENSORS, *_PARAMETERS, *_TEXTS),
    "builtins.complex",
    "builtins.set",
    "collections.Counter",
    "torch._utils._rebuild_meta_tensor_no_storage",
    "torch.device",
    "torch.serialization._get_layout",
}
"""What torch's reader may call, but for what allocates at will and no file of weights has."""

_RECONSTRUCTION: Final = {"copyreg._reconstructor", "copyreg.__newobj__", "builtins.object"}
"""By which old protocols make objects of a class, whose name is more telling."""

_PUSHED: Final = frozenset("KMJ\x8aGXU")
_CONSTANTS: Final = {"N": None, "\x88": True, "\x89": False}
_TUPLES: Final = {"\x85": 1, "\x86": 2, "\x87": 3}


class _Items(list[Any]):
    """A tuple, a list or a set; `weight` counts all values in it, shared ones as often as they are met.

    It ends just above `MOST_WORK`: doubled again and again, it would become a number of as many digits as doublings.
    """

    weight = 1

    def put(self, values: list[Any]) -> None:
        self.extend(values)
        self.add_weight_of(values)

    def add_weight_of(self, values: list[Any]) -> None:
        self.weight = min(MOST_WORK + 1, self.weight + sum(map(_weight, values)))


class _Dict(_Items):
    """A dict: its keys; `weight` counts the values too."""


class _OrderedDict(_Dict):
    """An OrderedDict, which may have attributes beside."""


class _Name(str):
    """A class or function, by its name."""

    __slots__ = ()


class _Tensor(NamedTuple):
    num_elements: int


_STAND_INS: Final = {pickletools.pylist: _Items, pickletools.pytuple: _Items, pickletools.pydict: _Dict}


def _weight(value: object) -> int:
    return value.weight if isinstance(value, _Items) else 1


def scan(data: BytesIO) -> Scan:
    """Read one pickle and return what it would make; the data is left behind its end.

    Raises:
        ForeignClassError: it asks for a class or function that is not known; this is the first.
        CutShortError: the data ends within it.
        OddPickleError: torch's reader would not read it, or it would take too long.

    """
    walk = _Walk()
    try:
        value = walk.follow(data)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise (OddPickleError if data.read(1) else CutShortError) from error
    return Scan(value, walk.storages)


class _Walk:
    """The machine that a pickle is written for, with stand-ins for all that it would make."""

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self._views: dict[str, Storage] = {}
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._work = 0
        self._is_odd = False

    def follow(self, data: BytesIO) -> object:
        stack: list[Any] = []
        marks, memo = self._marks, self._memo
        opcode: pickletools.OpcodeInfo
        argument: Any
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count > MOST_INSTRUCTIONS:
                raise TooMuchError
            code = opcode.code
            if code in "qr":
                memo[argument] = stack[-1]
            elif code in _PUSHED:
                stack.append(argument)
            elif code in "hj":
                stack.append(memo[argument])
            elif code in _CONSTANTS:
                stack.append(_CONSTANTS[code])
            elif code == "(":
                marks.append(stack)
                stack = []
            elif code == "t":
                items, stack = stack, marks.pop()
                stack.append(_items(items))
            elif code in _TUPLES:
                start = len(stack) - _TUPLES[code]
                if start < 0:
                    raise IndexError
                stack[start:] = [_items(stack[start:])]
            elif code in "R\x81":
                arguments = stack.pop()
                stack[-1] = self._called(stack[-1], arguments)
            elif code == "Q":
                stack[-1] = self._storage(*stack[-1])
            elif code == "c":
                stack.append(_known(*argument.split(" ", 1)))
            elif code in ")]\x8f":
                stack.append(_Items())
            elif code == "}":
                stack.append(_Dict())
            elif code == "s":
                items = [stack.pop(-2), stack.pop()]
                self._set_items(stack[-1], items)
            elif code == "u":
                items, stack = stack, marks.pop()
                self._set_items(stack[-1], items)
            elif code == "a":
                items = [stack.pop()]
                stack[-1].put(items)
            elif code == "e":
                items, stack = stack, marks.pop()
                stack[-1].put(items)
            elif code == "b":
                state = stack.pop()
                _set_attributes(stack[-1], state)
            elif code not in ".\x80":
                self._is_odd = True
                stack = self._follow_odd(opcode, argument, stack)
        if self._is_odd:
            raise ProtocolError
        return stack[-1]

    def _follow_odd(self, opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Any]) -> list[Any]:
        """Follow what torch's reader does not know, only to find the classes; return the stack."""
        match opcode.name:
            case "PUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GET":
                stack.append(self._memo[argument])
            case "STACK_GLOBAL":
                module, name = stack.pop(-2), stack.pop()
                stack.append(_known(module, name))
            case "INST":
                _known(*argument.split(" ", 1))
                stack = self._marks.pop()
                stack.append(None)
            case _:
                before = opcode.stack_before
                if pickletools.markobject in before:
                    stack = self._marks.pop()
                    before = before[: before.index(pickletools.markobject)]
                del stack[len(stack) - len(before) :]
                stack.extend(_STAND_INS.get(kind, lambda: argument)() for kind in opcode.stack_after)
        return stack

    def _charge(self, work: int) -> None:
        self._work += work
        if self._work > MOST_WORK:
            raise TooMuchError

    def _set_items(self, target: object, items: list[Any]) -> None:
        if not isinstance(target, _Dict):
            raise TypeError
        self._charge(sum(map(_weight, items[::2])))
        target.put(items[::2])
        target.add_weight_of(items[1::2])

    def _storage(self, word: str, kind: str, key: str, _location: str, count: int, view: Any = None) -> Storage:
        """Return what a persistent identifier stands for."""
        if word != "storage" or type(count) is not int or count < 0:
            raise TypeError
        whole = Storage(count, *_element(kind))
        _register(self.storages, key, whole)
        storage = whole
        if view is not None:
            view_key, offset, view_count = view
            if not 0 <= offset <= offset + view_count <= count:
                raise ValueError
            storage = Storage(view_count, whole.element_size, whole.packed)
            _register(self._views, view_key, storage)
        if key in self._views or (view is not None and view[0] in self.storages):
            raise ValueError
        return storage

    def _called(self, name: object, arguments: object) -> object:
        """Return what a function would."""
        if not isinstance(name, _Name) or name not in _FUNCTIONS or not isinstance(arguments, _Items):
            raise TypeError
        if name in _TENSORS:
            return self._tensor(name, arguments)
        if name in _PARAMETERS:
            return _as_tensor(arguments[0])
        if name == _ANY_TENSOR:
            function, _, inner, _ = arguments
            if function not in _TENSORS | _PARAMETERS:
                raise TypeError
            return self._called(function, inner)
        self._charge(arguments.weight)
        if name == _SPARSE:
            _, data = arguments
            for item in data:
                _check_flat(item)
                self._charge(item.num_elements if isinstance(item, _Tensor) else 0)
            return _Tensor(0)
        if name in _TEXTS and arguments:
            text, encoding = arguments
            if encoding not in ("latin1", "latin-1"):  # others make text longer, again and again
                raise ValueError
            self._charge(len(text))
        if name == _DICT:
            made = _OrderedDict()
            made.weight = arguments.weight
            return made
        return arguments[0] if name == _SIZE else None

    def _tensor(self, name: str, arguments: _Items) -> _Tensor:
        """Return what a function that makes tensors would, if the tensor lies within its storage."""
        storage, offset, size, stride = arguments[:4]
        numbers = [offset, *size, *stride]
        if len(size) != len(stride) or len(size) > MOST_DIMENSIONS or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError
        if name.endswith("qtensor"):
            for parameter in arguments[4]:
                _check_flat(parameter)
            self._charge(_weight(arguments[4]))
        count = storage.num_elements * storage.packed
        if name.endswith("v3"):
            bits = re.search(r"\d+", arguments[6])
            count = storage.num_elements * storage.element_size // (max(8, int(bits[0])) // 8 if bits else 1)
        if all(size) and offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) >= count:
            raise ValueError
        return _Tensor(math.prod(size))


def _items(values: list[Any]) -> _Items:
    items = _Items()
    items.put(values)
    return items


def _known(module: str, name: str) -> _Name:
    """Return the name of a class or function that files of tensors are made of, or raise ForeignClassError."""
    known = _Name(f"{_MODULES.get(module, module)}.{name}")
    storage = _STORAGE.fullmatch(known)
    if known in _FUNCTIONS | _RECONSTRUCTION or _TYPE.fullmatch(known) or (storage and storage[1] in _ELEMENT_SIZES):
        return known
    raise ForeignClassError(known)


@cache
def _element(storage: str) -> tuple[int, int]:
    """Return how many bytes an element of this class of storage has, and how many numbers are in it."""
    name = _STORAGE.fullmatch(storage)
    if name is None:
        raise TypeError
    return _ELEMENT_SIZES[name[1]], _PACKED.get(name[1], 1)


def _register(storages: dict[str, Storage], key: str, storage: Storage) -> None:
    """Enter a storage, which is the same wherever it is named."""
    if not isinstance(key, str) or storages.setdefault(key, storage) != storage:
        raise ValueError


def _as_tensor(value: object) -> _Tensor:
    if not isinstance(value, _Tensor):
        raise TypeError
    return value


def _check_flat(value: object) -> None:
    """Refuse lists of lists: torch would make tensors of them, and shared ones would multiply."""
    if isinstance(value, _Items) and any(isinstance(item, _Items) for item in value):
        raise TypeError


def _set_attributes(target: object, state: object) -> None:
    """Refuse attributes for anything but an OrderedDict, and those that would hide its methods."""
    if not isinstance(target, _OrderedDict) or not isinstance(state, _Dict):
        raise TypeError
    if any(hasattr(OrderedDict, key) for key in state):
        raise ValueError
