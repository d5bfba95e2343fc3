"""The same stacks in torch. No Qt; imported only when a page needs it."""

import os

from convviz.nn.allocator import keep_freed_memory

# How long torch's threads spin while they wait for one another: see `threads`. Read once, when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
keep_freed_memory()
