"""The same stacks in torch. No Qt; imported only when a page needs it."""

import os

# How long torch's threads spin while they wait for one another: see `threads`. Read once, when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
