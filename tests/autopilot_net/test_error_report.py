"""What an ERROR says: which machine, what was raised, and where."""

from autopilot_net.error_report import error_report


def test_an_exception_is_told_with_its_type_and_its_traceback() -> None:
    assert error_report("rig_1", ValueError("no such trial"), "in trip") == {
        "machine": "rig_1",
        "exception": "ValueError: no such trial",
        "traceback": "in trip",
    }


def test_a_sentence_is_told_as_it_is_and_has_no_traceback() -> None:
    assert error_report("rig_1", "it is full") == {"machine": "rig_1", "exception": "it is full", "traceback": ""}


def test_an_exception_without_words_is_told_by_its_type() -> None:
    assert error_report("rig_1", KeyError())["exception"] == "KeyError: "
