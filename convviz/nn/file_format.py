"""What a file from anyone is, by its content, found out before anything in it is used. Needs no torch."""

from __future__ import annotations

import codecs
import math
import os
import pickletools
import re
import stat
import struct
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal, NoReturn, TypeAlias

from convviz.core.control import StopToken, go_on
from convviz.core.plain_text import visible
from convviz.core.refusal import RefusalError
from convviz.nn.pickle_scan import (
    CutShortError,
    ForeignClassError,
    OddPickleError,
    ProtocolError,
    TooMuchError,
    scan,
)
from convviz.nn.source import DataProgress

Format = Literal["PyTorch", "PyTorch (before 1.6)", "safetensors"]

CHECKING: Final = "Checking the file"

HEAD: Final = 4096
"""From so many first bytes most files are known."""
MOST_PICKLE: Final = 1 << 26
"""Bytes of the pickles in a file of PyTorch: names and shapes, not the numbers."""
MOST_DIRECTORY: Final = 1 << 22
"""Bytes of a zip file's list of members: of 50 000 tensors."""
MOST_HEADER: Final = 1 << 23
"""Bytes of the list of tensors in a safetensors file: of 50 000 with long names."""
_CHUNK: Final = 1 << 20

_OURS: Final = "Files of PyTorch and safetensors are accepted."
RESAVE: Final = "Ask its owner to save model.state_dict() instead."
_AGAIN: Final = "Download it again, or ask its owner to save it again."
_CONVERT: Final = "Ask its owner for the same weights as a file of PyTorch or safetensors."
_UNPACK: Final = "Unpack it and open the file with the weights."

_CUT_SHORT: Final = "{file} is cut short."
_DAMAGED: Final = "{file} is damaged."
TOO_MUCH: Final = "{file} has too many parts to be checked."

_SIGNATURES: Final[tuple[tuple[bytes, str, str], ...]] = (
    (rb"version https://git-lfs", "{file} is a Git LFS pointer, not the file itself.", "Fetch that with git lfs pull."),
    (rb"\s*(?i:<!doctype html|<html|<\?xml|<head|<body)", "{file} is a web page.", "Download the file itself instead."),
    (rb"\x89HDF\r\n\x1a\n", "{file} is an HDF5 file, as Keras writes them.", _CONVERT),
    (rb"GGUF|GGML|lmgg|tjgg", "{file} is a GGUF file of a language model.", _CONVERT),
    (rb"\x93NUMPY", "{file} is a NumPy array.", _OURS),
    (rb"\x08\x01\x12|.{4}TFL3", "{file} is a model of TensorFlow.", _CONVERT),
    (rb"\x08[\x02-\x20][\x12\x1a\x22\x2a\x32\x3a\x42]", "{file} is an ONNX model.", _CONVERT),
    (rb"[\x03\x04]\0\0\0\x01\0\0\0", "{file} is a file of Lua Torch 7.", _CONVERT),
    (rb"MATLAB 5\.0", "{file} is a MATLAB file.", _OURS),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|BM.{4}\0\0\0\0|RIFF.{4}WEBP|II\*\0|MM\0\*", "{file} is a picture.", _OURS),
    (rb"%PDF", "{file} is a PDF document.", _OURS),
    (rb"\x1f\x8b|BZh\d|\xfd7zXZ\0|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", "{file} is a compressed archive.", _UNPACK),
)
"""First bytes (a regular expression), what the file is, and what can be done."""

_SAFETENSORS: Final = rb".{4}\0{4}\{\s*[\"}]"
"""A length below 4 GB, and an object in JSON."""
_ZIP: Final = b"PK\x03\x04"
_ZIP_END: Final = struct.Struct("<4s8xIIH")
"""Mark, size and start of the list of members, length of a comment."""
_ZIP64_END: Final = struct.Struct("<4s36xQQ")
"""Mark, size and start again, of large files."""
_ZIP64_LOCATOR: Final = struct.Struct("<4s4xQ4x")
"""Mark, and where that stands."""
_ENCRYPTED: Final = 1
"""Flag of a member."""
_MAGIC: Final = 0x1950A86A20F9469CFC6C
"""With which files of PyTorch begin that are not zipped."""
_TENSORFLOW_INDEX_END: Final = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


class TooLargeError(RefusalError):
    """It would take more memory than is allowed, and may be opened if the user allows more.

    Attributes:
        num_bytes: how much it takes.
    """

    def __init__(self, file: str, num_bytes: int, most_bytes: int) -> None:
        super().__init__(
            "{file} takes {needed} GB of memory, and {allowed} GB are allowed. Allow more to open it.",
            file=visible(file),
            needed=f"{math.ceil(num_bytes / 1e7) / 100:g}",
            allowed=f"{math.floor(most_bytes / 1e7) / 100:g}",
        )
        self.num_bytes = num_bytes


@dataclass(frozen=True, eq=False)
class Outline:
    """What a file of PyTorch holds, known before its numbers are read.

    Attributes:
        format: what it is.
        document: as the `value` of a `Scan` has it.
    """

    format: Format
    document: object


Examination: TypeAlias = Generator[DataProgress | Outline, None, Format]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open an ordinary file to be read; what else has a path is refused, and never waited for.

    Raises:
        RefusalError: there is none, or it may not be read.

    """
    name = visible(path.name)
    try:
        _check_ordinary(path.stat().st_mode, name)
        # It may have become something else meanwhile.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            _check_ordinary(os.fstat(descriptor).st_mode, name)
            yield file
    except FileNotFoundError as error:
        if path.is_symlink():
            raise RefusalError(
                "{file} is a link to a file that does not exist: {target}.",
                "Fetch that file first.",
                file=name,
                target=visible(str(path.readlink())),
            ) from error
        raise RefusalError("There is no file {file}.", "Check its name and folder.", file=name) from error
    except PermissionError as error:
        raise RefusalError("{file} may not be read by you.", "Ask its owner for permission.", file=name) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RefusalError("{file} cannot be read: {reason}.", file=name, reason=reason) from error


def _check_ordinary(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise RefusalError("{file} is a folder.", "Choose the file with the weights in it.", file=name)
    if not stat.S_ISREG(mode):
        raise RefusalError("{file} is a pipe or a device, not a file.", _OURS, file=name)


def examine(file: BinaryIO, path: Path, most_bytes: int, token: StopToken | None = None) -> Examination:
    """Find out what a file is, and whether it is whole and safe to be read.

    On the way comes the `Outline` of a file of PyTorch, when it is safe but perhaps not whole.

    Args:
        file: as `opened` opens it.
        path: whose name the errors mention.
        most_bytes: so much memory it may take.
        token: asks to stop.

    Raises:
        RefusalError: what it is instead, and what can be done; `TooLargeError` if only `most_bytes` is too low.
        StoppedError: `token` asked for it.

    """
    return (yield from _Examiner(file, visible(path.name), most_bytes, token or StopToken()).format())


class _Examiner:
    """Looks at one file from its first bytes on."""

    def __init__(self, file: BinaryIO, name: str, most_bytes: int, token: StopToken) -> None:
        self._file = file
        self._name = name
        self._most_bytes = most_bytes
        self._token = token
        self._size = os.fstat(file.fileno()).st_size
        self._head = file.read(HEAD)

    def format(self) -> Examination:
        yield DataProgress(0, self._size, CHECKING)
        if not self._size:
            self._refuse("{file} is empty.", _AGAIN)
        if re.match(_SAFETENSORS, self._head, re.DOTALL):
            self._check_size()
            self._check_safetensors()
            return "safetensors"
        for signature, what, remedy in _SIGNATURES:
            if re.match(signature, self._head, re.DOTALL):
                self._refuse(what, remedy)
        if self._head.startswith(_ZIP):
            self._check_size()
            yield from self._check_zip()
            return "PyTorch"
        if self._head[:1] == b"\x80":
            self._check_size()
            yield self._check_legacy()
            return "PyTorch (before 1.6)"
        self._refuse_other()

    def _refuse(self, *sentences: str, **values: object) -> NoReturn:
        raise RefusalError(*sentences, file=self._name, **values) from None

    def _check_size(self) -> None:
        if self._size > self._most_bytes:
            raise TooLargeError(self._name, self._size, self._most_bytes)

    # ---- zip files

    def _check_zip(self) -> Iterator[DataProgress | Outline]:
        self._check_directory()
        try:
            with zipfile.ZipFile(self._file) as archive:
                members = archive.infolist()
                pickle = self._pickle_of([member.filename for member in members])
                self._check_members(members)
                yield self._outline(archive, pickle)
                done = 0
                for member in members:
                    with archive.open(member) as part:
                        while chunk := part.read(_CHUNK):  # which ends by checking the sum
                            go_on(self._token)
                            done += len(chunk)
                            if len(chunk) == _CHUNK:
                                yield DataProgress(done, self._size, CHECKING)
        # What zipfile raises at damage; NotImplementedError is its own, for headers that ask for what it does not know.
        except (zipfile.BadZipFile, EOFError, NotImplementedError, LookupError, struct.error, UnicodeError):
            self._refuse(_DAMAGED, _AGAIN)

    def _check_directory(self) -> None:
        """Check that the list of members is where it has to be, at the very end: there is one way to read it."""
        whole_end = _ZIP64_END.size + _ZIP64_LOCATOR.size + _ZIP_END.size
        self._file.seek(-min(self._size, whole_end), os.SEEK_END)
        tail = self._file.read().rjust(whole_end, b"\0")
        mark, size, start, comment = _ZIP_END.unpack(tail[-_ZIP_END.size :])
        if mark != b"PK\5\6" or comment:
            self._refuse(_CUT_SHORT, _AGAIN)
        end = self._size - _ZIP_END.size
        locator_mark, position = _ZIP64_LOCATOR.unpack(tail[_ZIP64_END.size : -_ZIP_END.size])
        if locator_mark == b"PK\6\7":
            end = self._size - whole_end
            mark, size, start = _ZIP64_END.unpack(tail[: _ZIP64_END.size])
            if mark != b"PK\6\6" or position != end:
                self._refuse(_DAMAGED, _AGAIN)
        if start + size != end:
            self._refuse(_DAMAGED, _AGAIN)
        if size > MOST_DIRECTORY:
            self._refuse(TOO_MUCH, RESAVE)

    def _pickle_of(self, names: list[str]) -> str:
        """Return the name of the pickle in a zip file of PyTorch; refuse all others."""
        root = names[0].partition("/")[0] if names else ""
        if any(name.lower() == f"{root}/constants.pkl" or name.startswith(f"{root}/code/") for name in names):
            self._refuse("{file} is a TorchScript program; opening it would run code.", RESAVE)
        if any(name.endswith(".py") for name in names):
            self._refuse("{file} holds program code.", RESAVE)
        if f"{root}/data.pkl" not in names:
            self._refuse_zip(names)
        return f"{root}/data.pkl"

    def _refuse_zip(self, names: list[str]) -> NoReturn:
        if any(name.endswith("/archive_format") for name in names):
            self._refuse("{file} is a program exported from PyTorch.", RESAVE)
        if "[Content_Types].xml" in names:
            self._refuse("{file} is an office document.", _OURS)
        if "model.weights.h5" in names:
            self._refuse("{file} is a Keras model.", _CONVERT)
        if names and all(name.endswith(".npy") for name in names):
            self._refuse("{file} is an archive of NumPy arrays.", _CONVERT)
        self._refuse("{file} is a zip archive of other files.", _UNPACK)

    def _check_members(self, members: list[zipfile.ZipInfo]) -> None:
        if any(
            member.compress_type != zipfile.ZIP_STORED
            or member.compress_size != member.file_size
            or member.flag_bits & _ENCRYPTED
            for member in members
        ):
            self._refuse("{file} holds compressed parts, which PyTorch never writes.", RESAVE)
        if len({member.filename.lower() for member in members}) < len(members):
            self._refuse("{file} holds two parts of one name.", RESAVE)
        if sum(member.file_size for member in members) > self._size:
            self._refuse("{file} claims to hold more than its size.", RESAVE)
        root = members[0].filename.partition("/")[0]
        if any(
            member.filename != member.orig_filename or not member.filename.startswith(f"{root}/") for member in members
        ):
            self._refuse("{file} is not put together as PyTorch does it.", RESAVE)

    def _outline(self, archive: zipfile.ZipFile, pickle: str) -> Outline:
        """Return what the pickle says, if no storage has less than the numbers that it says are there."""
        if archive.getinfo(pickle).file_size > MOST_PICKLE:
            self._refuse(TOO_MUCH, RESAVE)
        data = archive.read(pickle)
        with self._refusing_pickles(data):
            found = scan(data)
        folder = pickle.removesuffix(".pkl")
        for key, storage in found.storages.items():
            num_bytes = storage.num_elements * storage.element_size
            if num_bytes > archive.getinfo(f"{folder}/{key}").file_size:
                self._refuse(_DAMAGED, _AGAIN)
        return Outline("PyTorch", found.value)

    # ---- pickles

    @contextmanager
    def _refusing_pickles(self, data: bytes) -> Iterator[None]:
        """Say what is wrong with pickles that are in this data."""
        try:
            yield
        except ForeignClassError as error:
            if b"_modules" in data:
                self._refuse(
                    "{file} is a whole pickled module (class {name}); opening it would run code.",
                    RESAVE,
                    name=visible(error.name),
                )
            self._refuse(
                "{file} holds a Python object ({name}); opening it would run code.", RESAVE, name=visible(error.name)
            )
        except CutShortError:
            if len(data) == MOST_PICKLE:
                self._refuse(TOO_MUCH, RESAVE)
            self._refuse(_CUT_SHORT, _AGAIN)
        except TooMuchError:
            self._refuse(TOO_MUCH, RESAVE)
        except ProtocolError:
            self._refuse("{file} was saved with another protocol of pickle than PyTorch's own.", RESAVE)
        except OddPickleError:
            self._refuse("{file} is not put together as PyTorch does it.", RESAVE)

    def _check_legacy(self) -> Outline:
        """Check a file that begins with a pickle: in PyTorch's old format come five, then the numbers."""
        file = self._file
        file.seek(0)
        data = file.read(MOST_PICKLE)
        with self._refusing_pickles(data):
            magic = scan(data)
            if magic.value != _MAGIC:
                self._refuse("{file} is a pickle that holds no tensors.", RESAVE)
            version = scan(data, magic.end)
            sizes_of_types = scan(data, version.end)
            found = scan(data, sizes_of_types.end)
            list_of_keys = scan(data, found.end)
        storages, keys = found.storages, list_of_keys.value
        file.seek(list_of_keys.end)
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(keys) != storages.keys():
            self._refuse(_DAMAGED, _AGAIN)
        for key in keys:
            storage = storages[key]
            count = file.read(8)
            if len(count) == 8 and int.from_bytes(count, "little") != storage.num_elements:
                self._refuse(_DAMAGED, _AGAIN)
            num_bytes = storage.num_elements * storage.element_size
            if num_bytes > self._size - file.tell():
                self._refuse(_CUT_SHORT, _AGAIN)
            file.seek(num_bytes, os.SEEK_CUR)
        return Outline("PyTorch (before 1.6)", found.value)

    # ---- the rest

    def _check_safetensors(self) -> None:
        """Check the length of the list and that the numbers are there; the rest is checked by safetensors."""
        length = int.from_bytes(self._head[:8], "little")
        if length > MOST_HEADER:
            self._refuse(TOO_MUCH, _AGAIN)
        self._file.seek(8)
        header = self._file.read(length)
        ends = re.findall(rb'"data_offsets"\s*:\s*\[\s*\d{1,20}\s*,\s*(\d{1,20})\s*\]', header)
        if 8 + length + max(map(int, ends), default=0) > self._size:
            self._refuse(_CUT_SHORT, _AGAIN)

    def _refuse_other(self) -> NoReturn:
        head = self._head
        if head[257:262] == b"ustar":
            if head.startswith(b"sys_info\0"):
                self._refuse("{file} was saved by a PyTorch of 2016, whose files are no longer read.", RESAVE)
            self._refuse("{file} is a tar archive.", _UNPACK)
        self._file.seek(-min(self._size, len(_TENSORFLOW_INDEX_END)), os.SEEK_END)
        if self._file.read() == _TENSORFLOW_INDEX_END:
            self._refuse("{file} is a checkpoint of TensorFlow.", _CONVERT)
        if self._size <= HEAD and _is_pickle(head):
            with self._refusing_pickles(head):
                scan(head)
            self._refuse("{file} is a pickle that holds no tensors.", RESAVE)
        text = _text(head)
        if text is None:
            if re.match(rb".{8}\{\s*[\"}]", head, re.DOTALL):  # as safetensors, but for the length
                self._refuse(_DAMAGED, _AGAIN)
            self._refuse("{file} is of no kind that is known here.", _OURS)
        if text.lstrip().startswith(("{", "[")):
            self._refuse("{file} is a JSON text; the weights are in another file.", _OURS)
        self._refuse("{file} is a text.", _OURS)


def _is_pickle(data: bytes) -> bool:
    """Return whether these bytes are a pickle of the oldest protocols, which look like text."""
    try:
        return [position for _, _, position in pickletools.genops(data)][-1] == len(data) - 1
    except ValueError:
        return False


def _text(head: bytes) -> str | None:
    """Return the text of which these are the first bytes; None if they are no text."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeError:
        return None
    return text if all(character.isprintable() or character.isspace() for character in text) else None
