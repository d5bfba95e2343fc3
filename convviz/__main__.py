"""``python -m convviz`` is the command ``convviz``."""

from convviz.app import run

run()
