"""What was given cannot be used: an error whose words the interface can say in another language."""

from __future__ import annotations


class RefusalError(ValueError):
    """Says what was wrong and what is accepted.

    Attributes:
        sentences: the message in parts, each a template in English.
        values: what the templates name in braces.
    """

    def __init__(self, *sentences: str, **values: object) -> None:
        super().__init__(" ".join(sentences).format(**values))
        self.sentences = sentences
        self.values = values
