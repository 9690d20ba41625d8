"""A pickle reader that cannot run anything: the stream becomes plain values, and no name in it is ever looked up.

Model files of other projects are pickles of whole Python objects. `pickle.load` imports whatever such a stream names
and calls it. Here the standard library only splits the stream into opcodes (`pickletools.genops`, a parser without
semantics); the small machine below gives them a meaning in which a class name is a string, an object of a network class
is an `InertObject`, a tensor is a `TensorRef` into the archive, and a call is a row of `_CALLS`. A name that is in no
table is refused by name. Nothing is registered anywhere, so threads do not meet.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from yolov12.errors import CheckpointError

MAX_OPERATIONS = 2_000_000  # 20 times what a genuine unstripped file takes; bounds time and memory
MAX_DIMENSIONS = 8

# Classifiers carry their preprocessing with them, as objects of the last of these.
INERT_PREFIXES = ("ultralytics.", "torch.nn.", "torchvision.transforms.")
INERT_NAMES = frozenset(
    {
        "builtins.object", "builtins.dict", "builtins.list", "builtins.tuple", "builtins.int", "builtins.float",
        "builtins.str", "builtins.bool", "argparse.Namespace", "types.SimpleNamespace",
        "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone",
        "numpy.dtype", "numpy.ndarray",
        "torch.float16", "torch.bfloat16", "torch.float32", "torch.float64", "torch.int64",
    }
)  # fmt: skip
STORAGES = {
    "torch.FloatStorage": "float32", "torch.HalfStorage": "float16", "torch.BFloat16Storage": "bfloat16",
    "torch.DoubleStorage": "float64", "torch.LongStorage": "int64", "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16", "torch.CharStorage": "int8", "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}  # fmt: skip
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # protocol 2 writes Python 2's module names
_ALIASES = {"io.open": "builtins.open"}  # one function, which pickles under either name
_NUMPY_CODES = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b", "u1": "B", "b1": "?"}


class UnsafeGlobalError(CheckpointError):
    """The stream names something that is neither a network class nor plain data."""


@dataclass(frozen=True, eq=False)
class Symbol:
    """A name that the stream mentioned; nothing stands behind it."""

    name: str


@dataclass(eq=False)
class InertObject:
    """What is left of an object: the name of its class, its constructor's arguments and its attributes."""

    type_name: str
    arguments: tuple[Any, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StorageRef:
    """`count` numbers of type `dtype` in the archive's record `key`."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True, eq=False)
class TensorRef:
    """A strided view into a storage, in elements."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_pickle(data: bytes | BinaryIO) -> Any:
    """The value of the pickle at the start of `data`, made of Python's plain types and the inert types above.

    An open file is left right behind the pickle.

    Raises UnsafeGlobalError at the first name outside the tables, CheckpointError when the stream is damaged.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count >= MAX_OPERATIONS:
                raise CheckpointError(f"the pickle has more than {MAX_OPERATIONS} operations")
            machine.step(opcode.name, argument)
        return machine.pop()
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, struct.error, UnicodeError) as error:
        raise CheckpointError(f"damaged pickle ({error})") from error


def _symbol(module: object, name: object) -> Symbol:
    if not isinstance(module, str) or not isinstance(name, str):
        raise CheckpointError("damaged pickle (a name that is no text)")
    full = f"{_RENAMED.get(module, module)}.{name}"
    full = _ALIASES.get(full, full)
    known = full in INERT_NAMES or full in STORAGES or full in _CALLS or full.startswith(INERT_PREFIXES)
    if not known:
        raise UnsafeGlobalError(f"unsafe global {full}: neither a network class nor plain data; nothing was executed")
    return Symbol(full)


def _call(function: object, arguments: object) -> Any:
    """What calling a symbol means: a row of `_CALLS`, or an inert object of that class."""
    if not isinstance(function, Symbol) or not isinstance(arguments, tuple):
        raise CheckpointError("damaged pickle (a call of something that is not a known class)")
    if function.name in _CALLS:
        return _CALLS[function.name](*arguments)
    return InertObject(function.name, arguments)


def _member(owner: object, name: object) -> InertObject:
    """What Python 3.11 writes for a member of an enumeration: `getattr` of its class; of nothing else."""
    if not isinstance(owner, Symbol) or not owner.name.startswith(INERT_PREFIXES) or not isinstance(name, str):
        raise UnsafeGlobalError("unsafe global builtins.getattr: used on something that is no network class")
    return InertObject(f"{owner.name}.{name}")


def _ordered_dict(pairs: Iterable[Any] = ()) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for key, value in pairs:
        result[_key(key)] = value
    return result


def _key(value: Any) -> Any:
    """`value` as a dictionary key. Tuples must be flat: hashing shared nested ones can take exponential time."""
    if isinstance(value, tuple) and any(isinstance(item, tuple) for item in value):
        raise CheckpointError("damaged pickle (a nested tuple as a dictionary key)")
    return value


def _tensor(storage: object, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> TensorRef:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, StorageRef) or not all(type(n) is int and n >= 0 for n in numbers):
        raise CheckpointError("damaged pickle (a tensor without storage, or with a negative size)")
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS or 0 in shape:
        raise CheckpointError("damaged pickle (a tensor whose sizes and strides do not agree, or an empty one)")
    return TensorRef(storage, offset, tuple(shape), tuple(strides))


def _numpy_scalar(dtype: object, data: object = None) -> object:
    if isinstance(dtype, InertObject) and dtype.arguments and isinstance(data, bytes):
        code = _NUMPY_CODES.get(dtype.arguments[0])
        if code:
            return struct.unpack("<" + code, data)[0]
    return None


def _reconstructed(cls: object, *_: object) -> InertObject:
    return InertObject(cls.name if isinstance(cls, Symbol) else "object")


def _text(*parts: object, separator: str = "") -> str:
    """Parts joined to one string; only plain parts, as printing a deeply nested one would overflow the stack."""
    if not all(isinstance(part, str | int) for part in parts):
        raise CheckpointError("damaged pickle (a path, device or version that is not made of text)")
    return separator.join(map(str, parts))


def _latin1(text: object, *_: object) -> bytes:
    """Bytes as protocol 2 writes them: a text whose characters are the bytes."""
    return _text(text).encode("latin1")


def _path(*parts: object) -> str:
    return _text(*parts, separator="/").replace("//", "/")


def _device(*parts: object) -> str:
    return _text(*parts, separator=":")


_PATH_CLASSES = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "collections.defaultdict": lambda *_: {},
    "builtins.getattr": _member,
    "builtins.set": lambda items=(): list(items),
    "builtins.frozenset": lambda items=(): list(items),
    "_codecs.encode": _latin1,
    "copyreg._reconstructor": _reconstructed,
    "numpy.core.multiarray._reconstruct": _reconstructed,
    "numpy._core.multiarray._reconstruct": _reconstructed,
    "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy._core.multiarray.scalar": _numpy_scalar,
    "torch.Size": lambda sizes=(): tuple(sizes),
    "torch.device": _device,
    "torch.torch_version.TorchVersion": _text,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
    **{f"{module}.{name}": _path for module in ("pathlib", "pathlib._local") for name in _PATH_CLASSES},
}

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
}
_VALUES = frozenset(
    {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
        "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
        "BINBYTES8",
    }
)  # fmt: skip
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})


class _Machine:
    """The stack, the marks and the memo of one pickle stream."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.operations: dict[str, Callable[[Any], None]] = {
            "MARK": lambda _: self.marks.append(len(self.stack)),
            "POP": lambda _: self._drop(),
            "POP_MARK": lambda _: self._discard(self._marked()),
            "DUP": lambda _: self.stack.append(self.stack[-1]),
            "PUT": self._memoize,
            "BINPUT": self._memoize,
            "LONG_BINPUT": self._memoize,
            "MEMOIZE": lambda _: self._memoize(len(self.memo)),
            "GET": self._recall,
            "BINGET": self._recall,
            "LONG_BINGET": self._recall,
            "GLOBAL": lambda name: self.stack.append(_symbol(*name.split(" ", 1))),
            "INST": self._instance,
            "STACK_GLOBAL": lambda _: self.stack.append(_symbol(*self._pop(2))),
            "REDUCE": lambda _: self.stack.append(_call(*self._pop(2))),
            "NEWOBJ": lambda _: self.stack.append(_call(*self._pop(2))),
            "NEWOBJ_EX": lambda _: self.stack.append(_call(*self._pop(3)[:2])),
            "BUILD": self._build,
            "BINPERSID": lambda _: self.stack.append(_storage(self.pop())),
            "TUPLE": lambda _: self.stack.append(tuple(self._marked())),
            "TUPLE1": lambda _: self.stack.append(self._pop(1)),
            "TUPLE2": lambda _: self.stack.append(self._pop(2)),
            "TUPLE3": lambda _: self.stack.append(self._pop(3)),
            "LIST": lambda _: self.stack.append(self._marked()),
            "FROZENSET": lambda _: self.stack.append(self._marked()),
            "DICT": lambda _: self.stack.append(_pairs(self._marked())),
            "APPEND": lambda _: self._extend(list(self._pop(1))),
            "APPENDS": lambda _: self._extend(self._marked()),
            "ADDITEMS": lambda _: self._extend(self._marked()),
            "SETITEM": lambda _: self._update(list(self._pop(2))),
            "SETITEMS": lambda _: self._update(self._marked()),
        }

    def step(self, opcode: str, argument: Any) -> None:
        """Carry out one operation."""
        if opcode in _VALUES:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in self.operations:
            self.operations[opcode](argument)
        elif opcode not in _IGNORED:
            raise CheckpointError(f"damaged pickle (operation {opcode} does not occur in model files)")

    def pop(self) -> Any:
        """Take the top of the stack."""
        return self.stack.pop()

    def _pop(self, count: int) -> tuple[Any, ...]:
        if len(self.stack) < count:
            raise IndexError("stack underflow")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        return items

    def _marked(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _drop(self) -> None:
        """POP takes the top item, or the mark when that is on top."""
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def _discard(self, items: list[Any]) -> None:
        items.clear()

    def _memoize(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def _recall(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def _instance(self, name: str) -> None:
        symbol = _symbol(*name.split(" ", 1))
        self.stack.append(_call(symbol, tuple(self._marked())))

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise TypeError("items appended to something that is no list")
        target.extend(items)

    def _update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("items set on something that is no dictionary")
        target.update(_pairs(items))

    def _build(self, _: Any) -> None:
        """Attributes for the object below; (dict, slots) is the form for classes with slots. Dictionaries need none."""
        target, state = self._pop(2)
        self.stack.append(target)
        if isinstance(target, InertObject):
            for part in state if isinstance(state, tuple) else (state,):
                if isinstance(part, dict):
                    target.state.update(part)


def _pairs(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise ValueError("a key without a value")
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def _storage(persistent_id: object) -> StorageRef:
    """torch's persistent id: ("storage", storage class, record key, device, number of elements)."""
    match persistent_id:
        case ("storage", Symbol(name=name), str(key), _, int(count), *_) if name in STORAGES and count >= 0:
            return StorageRef(STORAGES[name], key, count)
    raise CheckpointError("damaged pickle (a reference to something that is no tensor storage)")
