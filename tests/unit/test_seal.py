"""A sealed text is opened by who knows the secret, and nothing else is one."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest

from cascade_flow.seal import Seal

SEAL = Seal(lambda: b"secret")


@pytest.mark.parametrize("text", ["", "text", "ä" * 100])
def test_what_is_sealed_is_opened(text: str) -> None:
    assert SEAL.opened(SEAL.sealed(text)) == text
    assert Seal(lambda: b"another").opened(SEAL.sealed(text)) is None


@pytest.mark.parametrize("junk", ["!", "\n", "ä"])
def test_what_is_not_base64_throughout_was_never_sealed(junk: str) -> None:
    assert SEAL.opened(SEAL.sealed("text") + junk) is None


@pytest.mark.parametrize("length", [0, 1, 15])
def test_a_part_of_a_mark_is_none(length: int) -> None:
    """One byte would be guessed in 256 messages."""
    assert SEAL.opened(b64encode(b64decode(SEAL.sealed(""))[:length]).decode()) is None
