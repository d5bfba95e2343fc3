"""What a pickle would make, read from its instructions: none of them is followed.

torch's own reader (`weights_only=True`) calls nothing but functions it knows. Here the same is found out beforehand, to
say which class a file asks for, and which tensors it holds; and what that reader does not bound is: how much the known
functions are made to allocate or to count, and whether tensors lie within their storages.
"""

from __future__ import annotations

import math
import pickletools
import re
import struct
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, Final, NamedTuple

from convviz.nn.collector import collector_paused

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
        dtype: their type, as torch names it: "float32".
        element_size: in bytes.
        packed: how many numbers of a tensor are in an element.
    """

    num_elements: int
    dtype: str
    element_size: int
    packed: int


class TensorOutline(NamedTuple):
    """A tensor without its numbers.

    Attributes:
        shape: () for a single number.
        dtype: as torch names it: "float32".
    """

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Scan:
    """What a pickle would make.

    Attributes:
        value: its object: numbers, text, None as they are, a dict and a list (for a tuple or a set too) of such, a
            `TensorOutline` for a tensor; anything else stands for itself.
        storages: that its tensors lie in, by key.
        end: where it ends in the data.
    """

    value: object
    storages: dict[str, Storage]
    end: int


_ELEMENTS: Final = {
    "Bool": ("bool", 1, 1),
    "Byte": ("uint8", 1, 1),
    "Char": ("int8", 1, 1),
    "Short": ("int16", 2, 1),
    "Int": ("int32", 4, 1),
    "Long": ("int64", 8, 1),
    "Half": ("float16", 2, 1),
    "BFloat16": ("bfloat16", 2, 1),
    "Float": ("float32", 4, 1),
    "Double": ("float64", 8, 1),
    "ComplexFloat": ("complex64", 8, 1),
    "ComplexDouble": ("complex128", 16, 1),
    "QInt8": ("qint8", 1, 1),
    "QUInt8": ("quint8", 1, 1),
    "QInt32": ("qint32", 4, 1),
    "QUInt4x2": ("quint4x2", 1, 2),
    "QUInt2x4": ("quint2x4", 1, 4),
    "Untyped": ("uint8", 1, 1),
}
"""What a `Storage` of each class has behind its count."""
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
_META: Final = "torch._utils._rebuild_meta_tensor_no_storage"
_PARAMETERS: Final = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
_TEXTS: Final = {"_codecs.encode", "builtins.bytearray"}
_FUNCTIONS: Final = {
    *(_DICT, _SIZE, _SPARSE, _META, _ANY_TENSOR, *_TENSORS, *_PARAMETERS, *_TEXTS),
    "builtins.complex",
    "builtins.set",
    "collections.Counter",
    "torch.device",
    "torch.serialization._get_layout",
}
"""What torch's reader may call, but for what allocates at will and no file of weights has."""

_RECONSTRUCTION: Final = {"copyreg._reconstructor", "copyreg.__newobj__", "builtins.object"}
"""By which old protocols make objects of a class, whose name is more telling."""

_STOP, _PROTO, _MARK, _NONE, _NEWTRUE, _NEWFALSE = b".\x80(N\x88\x89"
_BININT, _BININT1, _BININT2, _LONG1, _BINFLOAT, _BINUNICODE, _SHORT_BINSTRING = b"JKM\x8aGXU"
_BINPUT, _LONG_BINPUT, _BINGET, _LONG_BINGET, _BINPERSID, _GLOBAL = b"qrhjQc"
_TUPLE, _TUPLE1, _TUPLE2, _TUPLE3 = b"t\x85\x86\x87"
_APPEND, _APPENDS, _EMPTY_DICT, _SETITEM, _SETITEMS, _BUILD = b"ae}sub"
_EMPTY: Final = b")]\x8f"
"""A tuple, a list and a set."""
_CALLS: Final = b"R\x81"
"""What is called is a function, or makes an object of a class."""
_uint4: Final = struct.Struct("<I").unpack_from
_int4: Final = struct.Struct("<i").unpack_from
_float8: Final = struct.Struct(">d").unpack_from


class _Weighted:
    """Holds others; `weight` counts itself and all values in it, shared ones as often as they are met."""

    __slots__ = ()
    weight: int


class _Items(list[Any], _Weighted):
    """A tuple, a list or a set."""

    __slots__ = ("weight",)

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__(values)
        self.weight = _added(1, self)

    def put(self, values: list[Any]) -> None:
        self.extend(values)
        self.weight = _added(self.weight, values)


class _Dict(dict[Any, Any], _Weighted):
    """A dict; keys that stand for what cannot be one stand for themselves."""

    __slots__ = ("weight",)

    def __init__(self) -> None:
        super().__init__()
        self.weight = 1

    def put(self, keys: list[Any], values: list[Any]) -> None:
        for key, value in zip(keys, values, strict=True):
            self[object() if isinstance(key, _Weighted) else key] = value
        self.weight = _added(_added(self.weight, keys), values)


class _OrderedDict(_Dict):
    """An OrderedDict, which may have attributes beside."""

    __slots__ = ()


class _Name(str):
    """A class or function, by its name."""

    __slots__ = ()


_STAND_INS: Final = {pickletools.pylist: _Items, pickletools.pytuple: _Items, pickletools.pydict: _Dict}


def _added(weight: int, values: Iterable[Any]) -> int:
    """Return a weight and that of values together, just above `MOST_WORK` at most.

    Doubled again and again, it would become a number of as many digits as doublings.
    """
    for value in values:
        weight += value.weight if isinstance(value, _Weighted) else 1
    return weight if weight <= MOST_WORK else MOST_WORK + 1


def scan(data: bytes, start: int = 0) -> Scan:
    """Read the pickle that begins at `start` and return what it would make.

    Raises:
        ForeignClassError: it asks for a class or function that is not known; this is the first.
        CutShortError: the data ends within it.
        OddPickleError: torch's reader would not read it, or it would take too long.

    """
    walk = _Walk(data)
    with collector_paused():
        value, end = walk.follow(start)
    return Scan(value, walk.storages, end)


class _Walk:
    """The machine that a pickle is written for, with stand-ins for all that it would make."""

    def __init__(self, data: bytes) -> None:
        self.storages: dict[str, Storage] = {}
        self._data = data
        self._odd_data = BytesIO(data)
        self._odd = pickletools.genops(self._odd_data)
        self._views: dict[str, Storage] = {}
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._work = 0
        self._is_odd = False

    def follow(self, at: int) -> tuple[object, int]:
        """Return what the instructions from here on leave, and where they end.

        There may be a million of them: a call for each would take most of the time.
        """
        data, marks, memo = self._data, self._marks, self._memo
        stack: list[Any] = []
        try:
            for _ in range(MOST_INSTRUCTIONS):
                code = data[at]
                at += 1
                # The more frequent, the sooner.
                if code == _LONG_BINPUT:
                    at += 4
                    memo[_uint4(data, at - 4)[0]] = stack[-1]
                elif code == _BININT1:
                    at += 1
                    stack.append(data[at - 1])
                elif code == _BINGET:
                    at += 1
                    stack.append(memo[data[at - 1]])
                elif code == _BINUNICODE:
                    at += 4
                    start, at = at, at + _uint4(data, at - 4)[0]
                    stack.append(data[start:at].decode("utf-8", "surrogatepass"))
                elif code == _TUPLE:
                    items, stack = stack, marks.pop()
                    stack.append(_Items(items))
                elif code == _MARK:
                    marks.append(stack)
                    stack = []
                elif code in _CALLS:
                    arguments = stack.pop()
                    stack[-1] = self._called(stack[-1], arguments)
                elif code == _TUPLE1:
                    stack[-1] = _Items((stack[-1],))
                elif code == _TUPLE2:
                    second = stack.pop()
                    stack[-1] = _Items((stack[-1], second))
                elif code == _TUPLE3:
                    third, second = stack.pop(), stack.pop()
                    stack[-1] = _Items((stack[-1], second, third))
                elif code == _BINPERSID:
                    stack[-1] = self._storage(*stack[-1])
                elif code in _EMPTY:
                    stack.append(_Items())
                elif code == _NEWFALSE:
                    stack.append(False)
                elif code == _BININT2:
                    at += 2
                    stack.append(data[at - 2] | data[at - 1] << 8)
                elif code == _BININT:
                    at += 4
                    stack.append(_int4(data, at - 4)[0])
                elif code == _LONG_BINGET:
                    at += 4
                    stack.append(memo[_uint4(data, at - 4)[0]])
                elif code == _BINPUT:
                    at += 1
                    memo[data[at - 1]] = stack[-1]
                elif code == _GLOBAL:
                    module, at = _line(data, at)
                    name, at = _line(data, at)
                    stack.append(_known(module, name))
                elif code == _NONE:
                    stack.append(None)
                elif code == _NEWTRUE:
                    stack.append(True)
                elif code == _BINFLOAT:
                    at += 8
                    stack.append(_float8(data, at - 8)[0])
                elif code == _LONG1:
                    at += 1
                    start, at = at, at + data[at - 1]
                    stack.append(int.from_bytes(data[start:at], "little", signed=True))
                elif code == _SHORT_BINSTRING:
                    at += 1
                    start, at = at, at + data[at - 1]
                    stack.append(data[start:at].decode("latin-1"))
                elif code == _EMPTY_DICT:
                    stack.append(_Dict())
                elif code == _SETITEM:
                    items = [stack.pop(-2), stack.pop()]
                    self._set_items(stack[-1], items)
                elif code == _SETITEMS:
                    items, stack = stack, marks.pop()
                    self._set_items(stack[-1], items)
                elif code == _APPEND:
                    items = [stack.pop()]
                    stack[-1].put(items)
                elif code == _APPENDS:
                    items, stack = stack, marks.pop()
                    stack[-1].put(items)
                elif code == _BUILD:
                    state = stack.pop()
                    _set_attributes(stack[-1], state)
                elif code == _PROTO:
                    at += 1
                elif code == _STOP:
                    break
                else:
                    stack, at = self._follow_odd(stack, at - 1)
            else:
                raise TooMuchError
            if self._is_odd:
                raise ProtocolError
            return stack[-1], at
        except (LookupError, TypeError, ValueError, AttributeError, struct.error) as error:
            raise (OddPickleError if at < len(data) else CutShortError) from error

    def _follow_odd(self, stack: list[Any], at: int) -> tuple[list[Any], int]:
        """Follow what torch's reader does not know, only to find the classes; return the stack and what comes next."""
        self._is_odd = True
        self._odd_data.seek(at)
        opcode: pickletools.OpcodeInfo
        argument: Any
        try:
            opcode, argument, _ = next(self._odd)
        except ValueError as error:
            raise (OddPickleError if self._odd_data.read(1) else CutShortError) from error
        match opcode.name:
            case "PUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GET":
                stack.append(self._memo[argument])
            case "STACK_GLOBAL":
                module, name = stack.pop(-2), stack.pop()
                if not isinstance(module, str) or not isinstance(name, str):  # lists that multiply have no name
                    raise TypeError
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
        return stack, self._odd_data.tell()

    def _charge(self, work: int) -> None:
        self._work += work
        if self._work > MOST_WORK:
            raise TooMuchError

    def _set_items(self, target: object, items: list[Any]) -> None:
        if not isinstance(target, _Dict):
            raise TypeError
        keys = items[::2]
        self._charge(_added(0, keys))
        target.put(keys, items[1::2])

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
            storage = whole._replace(num_elements=view_count)
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
        if name == _DICT and not arguments:
            return _OrderedDict()
        if name in _PARAMETERS:
            return _as_tensor(arguments[0])
        if name == _ANY_TENSOR:
            function, _, inner, _ = arguments
            if function not in _TENSORS | _PARAMETERS:
                raise TypeError
            return self._called(function, inner)
        self._charge(arguments.weight)
        if name == _SPARSE:
            return self._sparse_tensor(arguments)
        if name == _META:
            dtype, size = arguments[:2]
            return TensorOutline(tuple(size), _dtype(dtype))
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

    def _sparse_tensor(self, arguments: _Items) -> TensorOutline:
        """Return what the function that makes sparse tensors would."""
        _, data = arguments
        for item in data:
            _check_flat(item)
            self._charge(math.prod(item.shape) if isinstance(item, TensorOutline) else 0)
        parts = [item for item in data if isinstance(item, TensorOutline)]
        sizes = [item for item in data if isinstance(item, _Items)]
        return TensorOutline(tuple(sizes[0]), parts[-1].dtype)

    def _tensor(self, name: str, arguments: _Items) -> TensorOutline:
        """Return what a function that makes tensors would, if the tensor lies within its storage."""
        storage, offset, size, stride = arguments[:4]
        if len(size) != len(stride) or len(size) > MOST_DIMENSIONS:
            raise ValueError
        for number in (offset, *size, *stride):
            if type(number) is not int or number < 0:
                raise ValueError
        dtype, count = storage.dtype, storage.num_elements * storage.packed
        if name.endswith("qtensor"):
            for parameter in arguments[4]:
                _check_flat(parameter)
            self._charge(_added(0, arguments[4:5]))
        elif name.endswith("v3"):
            dtype = _dtype(arguments[6])
            bits = re.search(r"\d+", dtype)
            count = storage.num_elements * storage.element_size // (max(8, int(bits[0])) // 8 if bits else 1)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if last >= count and all(size):
            raise ValueError
        return TensorOutline(tuple(size), dtype)


def _line(data: bytes, at: int) -> tuple[str, int]:
    """Return the text that ends with this line, and where the next one begins."""
    end = data.find(b"\n", at)
    if end < 0:
        raise CutShortError
    return data[at:end].decode(), end + 1


def _known(module: str, name: str) -> _Name:
    """Return the name of a class or function that files of tensors are made of, or raise ForeignClassError."""
    known = _Name(f"{_MODULES.get(module, module)}.{name}")
    storage = _STORAGE.fullmatch(known)
    if known in _FUNCTIONS | _RECONSTRUCTION or _TYPE.fullmatch(known) or (storage and storage[1] in _ELEMENTS):
        return known
    raise ForeignClassError(known)


@cache
def _element(storage: str) -> tuple[str, int, int]:
    """Return what an element of this class of storage is."""
    name = _STORAGE.fullmatch(storage)
    if name is None:
        raise TypeError
    return _ELEMENTS[name[1]]


def _dtype(name: object) -> str:
    if not isinstance(name, _Name):
        raise TypeError
    return name.removeprefix("torch.")


def _register(storages: dict[str, Storage], key: str, storage: Storage) -> None:
    """Enter a storage, which is the same wherever it is named."""
    if not isinstance(key, str) or storages.setdefault(key, storage) != storage:
        raise ValueError


def _as_tensor(value: object) -> TensorOutline:
    if not isinstance(value, TensorOutline):
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
