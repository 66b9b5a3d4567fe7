"""What an import reads from the prefs of a machine."""

from __future__ import annotations

from sim.lab.topology import Stream
from tests.sim.migrate.import_files import Files, line_with, pilot


def test_a_camera_is_a_stream_and_a_guess(files: Files) -> None:
    lab = files.lab(
        {
            "rig_1": pilot(
                HARDWARE={
                    "Cams": {"top": {"fps": "12.5", "resolution": ["640", 480]}, "side": 0, "none": ""},
                    "camera": {"typed": {"fps": 5.0, "resolution": "(320, 240)"}},
                    "USB": {
                        "eye": {"type": "hardware.cameras.Camera_Spinnaker", "fps": 60},
                        "top": {"type": "CAMERAS"},
                    },
                    "POKES": {"L": 24, "R": "", "C": {"type": "Beambreak"}},
                    "LEDS": "",
                }
            )
        }
    )
    video = {"dtype": "uint8", "content": "video", "batch": 1, "reliable": False}
    assert lab.machine("rig_1").streams == {
        "top": Stream(shape=(480, 640), rate_hz=12.5, **video),  # type: ignore[arg-type]
        "side": Stream(shape=(480, 640), rate_hz=30.0, **video),  # type: ignore[arg-type]
        "typed": Stream(shape=(240, 320), rate_hz=5.0, **video),  # type: ignore[arg-type]
        "eye": Stream(shape=(480, 640), rate_hz=60.0, **video),  # type: ignore[arg-type]
        "USB_top": Stream(shape=(480, 640), rate_hz=30.0, **video),  # type: ignore[arg-type]
    }
    assert line_with(files.text, " top: {").endswith("# guess: from HARDWARE.Cams.top")
    assert line_with(files.text, "eye: {").endswith("# guess: from HARDWARE.USB.eye, which does not say resolution")
    assert line_with(files.text, "side: {").endswith("which does not say fps and resolution")
    assert files.told == [
        "pilot_db.json: rig_1: the camera 'HARDWARE.Cams.none' is left out: its entry is empty.",
    ]


def test_cameras_that_differ_between_files_are_told(files: Files) -> None:
    files.lab({"a": pilot(HARDWARE={"CAM": {"t": 0}})}, a={"HARDWARE": {"CAM": {"t": {"fps": 9}}}})
    assert files.told == [
        "a.prefs.json: a: HARDWARE is HARDWARE.CAM.t (9 fps, resolution not said) here and was HARDWARE.CAM.t "
        "(fps not said, resolution not said) before; what is here counts.",
    ]
