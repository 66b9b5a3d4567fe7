"""Numbers are read as a person means them, times and dates stay as typed, and what is ambiguous is refused."""

from __future__ import annotations

from typing import Any

import pytest

from sim.lab.topology import load
from sim.lab.yaml.scalars import DIFFERS, ambiguity, tag_of
from tests.sim.lab.files import ONE_RIG

NUMBERS = {
    "1e3": 1000,
    "1E3": 1000,
    "1.5e3": 1500.0,
    "1e-3": 0.001,
    "2.e+1": 20.0,
    "5.": 5.0,
    ".5": 0.5,
    "+.5": 0.5,
    "-.5": -0.5,
    "+1": 1,
    "-1": -1,
    "0": 0,
    "-0": 0,
    "0.5": 0.5,
    "00.5": 0.5,
    "0x10": 16,
    "1.0": 1.0,
}
AS_TYPED = ["12:30", "1:30.5", "190:20:30", "-1:30", "2001-01-01", "2001-12-14t21:59:43.10-05:00", "1,5", ".", "e3"]
REFUSED = {
    "05565": "5565",
    "010": "10",
    "-07": "-7",
    "+08": "8",
    "00": "0",
    "1_000": "1000",
    "0_1": "1",
    "1_0.5": "10.5",
    "0b101": "5",
    "0o17": "15",
    "0X1F": "31",
    "-0x10": "-16",
    "0x_10": "16",
}


def read(value: str, write: Any) -> Any:
    """A value as the task of a rig gets it."""
    return load(write(f"{ONE_RIG}    task: {{a: {value}}}\n")).machine("rig_1").task["a"]


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_read_as_one(text: str, write: Any) -> None:
    value = read(text, write)
    assert (value, type(value)) == (NUMBERS[text], type(NUMBERS[text]))


@pytest.mark.parametrize("text", AS_TYPED)
def test_a_time_and_a_date_stay_as_they_were_typed(text: str, write: Any) -> None:
    assert read(f"'{text}'" if "," in text else text, write) == text


@pytest.mark.parametrize("text", REFUSED)
def test_a_number_that_readers_of_yaml_differ_about_is_refused(text: str, mistakes_in: Any) -> None:
    (mistake,) = mistakes_in(f"{ONE_RIG}    port: {text}\n")
    assert mistake.startswith(f"3: '{text}' is ambiguous: ")
    assert mistake.endswith(f"; write {REFUSED[text]}, or put quotes around it if it is text.")


def test_octal_is_named(mistakes_in: Any) -> None:
    assert mistakes_in(f"{ONE_RIG}    port: 05565\n") == [
        "3: '05565' is ambiguous: a number that begins with 0 is octal for some readers of YAML, and decimal for "
        "others; write 5565, or put quotes around it if it is text."
    ]


def test_quoted_and_tagged_text_is_never_ambiguous(write: Any) -> None:
    assert [read(text, write) for text in ("'010'", '"1e3"', "!!str 010", "!!str on")] == ["010", "1e3", "010", "on"]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("host: 1e3", "`host` must be text, not 1e3; put quotes around it."),
        ("subjects: [1.50]", "`subjects[0]` must be text, not 1.50; put quotes around it."),
        ("env: {A: off}", "`env.A` must be text, not off; put quotes around it."),
        ("port: 12:30", "`port` must be a whole number from 1 to 65535, not '12:30'."),
        ("port: 1e-3", "`port` must be a whole number from 1 to 65535, not 1e-3."),
    ],
)
def test_a_mistake_quotes_what_was_typed(entry: str, sentence: str, mistakes_in: Any) -> None:
    assert mistakes_in(f"{ONE_RIG}    {entry}\n") == [f"3: {sentence}"]


def test_a_whole_number_may_have_an_exponent(write: Any) -> None:
    assert load(write(f"{ONE_RIG}storm: {{messages: 1e3}}\n")).storm.messages == 1000


def test_yes_is_a_truth_where_one_is_wanted_and_refused_where_anything_is_welcome(write: Any, mistakes_in: Any) -> None:
    assert load(write(f"{ONE_RIG}    durable: yes\n")).machine("rig_1").durable
    sentence = "3: 'On' is ambiguous: it is true for some readers of YAML, and text for others; write true, or put "
    assert mistakes_in(f"{ONE_RIG}    params: {{a: [{{b: On}}]}}\n") == [f"{sentence}quotes around it if it is text."]
    assert read("true", write) is True


def test_what_is_no_number_keeps_its_tag() -> None:
    assert tag_of("rig_1", "str") == "str"
    assert tag_of("010", "int") == DIFFERS
    assert ambiguity("rig_1") == ""
    assert ambiguity("0" * 101) == ""
