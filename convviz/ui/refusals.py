"""The words of an error that comes from a user's file or text."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from convviz.core.refusal import RefusalError


def said(error: RefusalError) -> str:
    """Return the message in the interface's language."""
    sentences = (QCoreApplication.translate("Refusal", sentence) for sentence in error.sentences)
    return " ".join(sentences).format(**error.values)
