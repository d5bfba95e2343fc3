"""The networks that come with the program."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from PySide6.QtCore import QCoreApplication

from convviz.resources import resource
from convviz.ui.inspect.model import Shipped

_translate = partial(QCoreApplication.translate, "Shipped")
_ROW: Final = re.compile(r"^\| `(\w+)\.pt` \|.*\| ([0-9.]+) %", re.MULTILINE)


def accuracies() -> dict[str, float]:
    """Return how many of CIFAR-10's test pictures each network recognises, in per cent, by its name."""
    text = resource("weights/README.md").read_text(encoding="utf-8")
    return {name: float(accuracy) for name, accuracy in _ROW.findall(text)}


def shipped_names() -> dict[Shipped, str]:
    """Return what the networks are called, with the data set they learnt and how well."""
    names: dict[Shipped, str] = {"small_cnn": _translate("Small CNN"), "fast_cnn": _translate("Fast CNN")}
    found = accuracies()
    return {
        key: _translate("{name}, CIFAR-10, {accuracy} %").format(name=name, accuracy=f"{found[key]:.1f}")
        for key, name in names.items()
    }
