"""What is an id, and why the rest is none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot_net.protocol.identity import ID_BYTES, id_of, identity_of
from autopilot_net.protocol.ids import DERIVED_BYTES, why_no_id


@pytest.mark.parametrize("id", ["T", "_rig_1", "Käfig 3", "x" * ID_BYTES, "é" * 50, "水槽", "\u00a0", "~"])
def test_text_of_1_to_100_bytes_is_an_id(id: str) -> None:
    assert why_no_id(id) is None


@pytest.mark.parametrize(
    ("id", "why"),
    [
        ("", "empty"),
        ("x" * 101, "101 bytes"),
        ("é" * 51, "102 bytes"),
        ("a\ud800", "half a character"),
        ("a\0", "control"),
        ("a\nb", "control"),
        ("\x7f", "control"),
        ("\x85é", "control"),
        (b"rig_1", "bytes"),
        (1, "int"),
        (None, "NoneType"),
        (["T"], "list"),
    ],
)
def test_anything_else_is_none_and_it_is_said_why(id: Any, why: str) -> None:
    assert why in str(why_no_id(id))


def test_what_is_made_from_ids_may_be_longer() -> None:
    assert why_no_id("x" * DERIVED_BYTES, bound=DERIVED_BYTES) is None
    assert "201 bytes" in str(why_no_id("x" * 201, bound=DERIVED_BYTES))


@given(st.text())
def test_whatever_is_an_id_is_read_back_from_the_identity_that_zmq_is_told(id: str) -> None:
    if why_no_id(id) is None:
        assert id_of(identity_of(id)) == id_of(identity_of(id, "0123456789ab.1")) == id
        assert len(identity_of(id, "0123456789ab.1")) <= 255
