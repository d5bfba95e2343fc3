import ctypes
import mmap
import platform
import sys

import pytest

from convviz.nn.allocator import keep_freed_memory


def page_faults() -> int:
    resource = pytest.importorskip("resource")
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only of the GNU C library")
def test_a_block_that_was_freed_is_there_without_page_faults() -> None:
    keep_freed_memory()
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    num_bytes = 16 * 2**20

    def use() -> int:
        before = page_faults()
        block = ctypes.c_void_p(library.malloc(num_bytes))
        ctypes.memset(block, 1, num_bytes)
        library.free(block)
        return page_faults() - before

    use()
    assert use() < num_bytes // mmap.PAGESIZE / 10


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", None)
    keep_freed_memory()
