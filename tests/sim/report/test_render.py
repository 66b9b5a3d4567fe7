"""The page of a report: its sections, its figures, and that it opens without a network."""

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from sim.diagram.model import Arrow, Bar, Cut, Diagram, Lifeline, MachineLine, MessageRow, Spot
from sim.report.render import point_latest, write
from sim.verdict import (
    Check,
    ClockRow,
    Cpu,
    Event,
    Latency,
    Leg,
    LinkRow,
    MachineRow,
    OutputRow,
    ProcessRow,
    Rate,
    Report,
    SlowRow,
    StreamRow,
    TrialRow,
)
from tests.patience import patient
from tests.sim.findings import violation

ORDER = [
    "verdict",
    "broke",
    "run",
    "topology",
    "checks",
    "latency",
    "clocks",
    "rates",
    "timeline",
    "trials",
    "streams",
    "processes",
    "not-proven",
]
AFTER = {"picture": "broke", "explained": "checks", "links": "timeline"}  # only where there is something to say
CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
EVIL = "</script><script>document.title='evil'</script><img src=http://evil.example/x.png>"
TEX = "$$x^2$$"
# Walks into every shadow root, where bokeh keeps its canvases, and counts those with ink on them.
COUNT_DRAWN = """<script>
function canvases(root) {
  return [...root.querySelectorAll("*")].flatMap(e => [
    ...(e.tagName == "CANVAS" ? [e] : []), ...(e.shadowRoot ? canvases(e.shadowRoot) : [])])
}
function inked(c) {
  return c.width > 0 && c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some(byte => byte > 0)
}
setTimeout(() => { document.body.dataset.drawn = canvases(document).filter(inked).length }, 3000)
const boxes = [...document.querySelectorAll(".scroll, section, header, pre")]
const cut = boxes.filter(e => e.scrollWidth > e.clientWidth + 1)
document.body.dataset.cut = cut.map(e => `${e.closest("section")?.id} ${e.className}`).join(", ")
</script></body>"""


class Page(HTMLParser):
    """What a browser would see: the sections' ids, each element's attributes, the text outside styles and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._raw = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._raw = tag if tag in ("script", "style") else ""
        if tag in ("section", "header"):
            self.sections.append(dict(attrs)["id"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._raw = "" if tag == self._raw else self._raw

    def handle_data(self, data: str) -> None:
        if self.sections and not self._raw:
            self.texts[self.sections[-1]] = self.texts.get(self.sections[-1], "") + data


def page_of(report: Report, folder: Path) -> Page:
    return Page(write(report, folder).read_text(encoding="utf-8"))


@pytest.fixture
def nothing() -> Report:
    return Report(
        lab="pair",
        file="topologies/pair.yaml",
        seed=1,
        started="2026-01-02T03:04:05+00:00",
        took_s=0.1,
        up_s=None,
        verdict="interrupted",
        sentence="Stopped before a machine was up.",
        advice="Run it again.",
    )


@pytest.fixture
def held() -> Report:
    return Report(
        lab="pair",
        file="topologies/pair.yaml",
        seed=81724,
        started="2026-01-02T03:04:05+00:00",
        took_s=31.4,
        up_s=4.1,
        verdict="held",
        sentence="Every message arrived once.",
        advice="Nothing to do.",
        versions={"python": "3.11.7"},
        platform="Linux, 2 cores",
        machines=[
            MachineRow(id="T", parent=None, kind=None, depth=0, fared="well", sent=3, handled=12345),
            MachineRow(id="rig_1", parent="T", kind="box", depth=1, fared="well"),
        ],
        checks=[Check(name="trials", looked_at="812 trials of 1 rig", count=12812, result="pass")],
        latencies=[Latency(hops=1, count=4000, p50_ms=0.0, p90_ms=0.9, p99_ms=4.2, max_ms=1204.0)],
        clocks=[ClockRow(machine="rig_1", offset_ms=0.012, uncertainty_ms=0.25, told=4), ClockRow(machine="rig_2")],
        rates=[Rate(second=second, by_key={f"KEY_{n}": n + 1 for n in range(12)}) for second in (2, 5)],
        timeline=[
            Event(at_s=0.5, machine="rig_1", what="ready"),
            Event(at_s=2.0, machine="", what="something new"),
        ],
        trials=[TrialRow(rig="rig_1", made=9, sent=9, handled=9, confirmed=9, twice=0)],
        streams=[StreamRow(machine="rig_1", stream="wheel", to="T", reliable=True, sent=10, received=10)],
        processes=[ProcessRow(name=f"process {n}", pid=n, memory_mb=20.0, cpu_pct=float(n)) for n in range(25)],
        cpu=Cpu(cores=2, median_pct=61.0, max_pct=97.0, overloaded_s=0.0),
        not_proven=["real wifi"],
    )


@pytest.fixture
def broke(held: Report) -> Report:
    """The same lab with everything wrong with it, and a name in it that is an attack."""
    return msgspec.structs.replace(
        held,
        lab=EVIL,
        verdict="broke",
        sentence=f"{EVIL} lost trials.",
        broke=[f"{EVIL} raised ValueError", "rig_1 lost 3 trials"],
        exceptions=[f"rig_1: Traceback (most recent call last):\n  File x, line 1\nValueError: {EVIL}"],
        replay="python -m sim replay reports/x/smallest.json",
        machines=[
            *held.machines,
            MachineRow(id=EVIL, parent="rig_1", kind=EVIL, depth=2, fared="badly", why=EVIL),
            MachineRow(id=TEX, parent="rig_1", kind=TEX, depth=2, fared="unknown"),
        ],
        checks=[
            Check(
                name="trials",
                looked_at="812 trials",
                count=812,
                result="fail",
                broke=[violation(f"trials: violation {n} {EVIL}.") for n in range(25)],
                explained=[f"trial {n} is missing: {EVIL} was killed" for n in range(7)],
            )
        ],
        latencies=[msgspec.structs.replace(held.latencies[0], flagged=True)],
        rates=[Rate(second=0, by_key={EVIL: 3, TEX: 1})],
        timeline=[Event(at_s=1.0, machine=EVIL, what=EVIL, note=EVIL)],
        trials=[
            TrialRow(
                rig=EVIL, made=9, sent=9, handled=3, confirmed=9, twice=0, missing=[f"t{n}{EVIL}" for n in range(6)]
            )
        ],
        streams=[
            StreamRow(
                machine=EVIL, stream=EVIL, to="T", reliable=False, sent=9, received=8, missing=["3"], where="at T"
            )
        ],
        links=[LinkRow(at_s=n / 2, link=EVIL, what=f"reset {n}", facts=EVIL) for n in range(22)],
        diagram=picture(),
        not_proven=[EVIL],
    )


def picture() -> Diagram:
    """A message that is lost, and all of it an attack."""
    rig, program, evil = Lifeline("rig_1"), Lifeline("rig_1", True), Lifeline(EVIL)
    return Diagram(
        width=8.0,
        begins_s=1.0,
        of=EVIL,
        lines=[MachineLine(machine="rig_1", parent="T", programs=True), MachineLine(machine=EVIL, parent="rig_1")],
        messages=[MessageRow(id=EVIL, key=EVIL, frm=EVIL, to=EVIL, outcome=EVIL)],
        arrows=[
            Arrow(frm=evil, to=rig, x0=1, x1=2, at_s=1.0, message=1, note=EVIL),
            Arrow(frm=rig, to=program, x0=2, x1=3, at_s=1.1, message=1, end="lost", note=EVIL),
            Arrow(frm=program, to=rig, x0=4, x1=5, at_s=1.2, message=1, end="quiet", confirm=True, note=EVIL),
        ],
        spots=[
            Spot(on=evil, x=1, at_s=1.0, what="killed", note=EVIL),
            Spot(on=rig, x=3, at_s=1.1, what=EVIL, message=1, note=EVIL),
        ],
        bars=[
            Bar(on=evil, link=False, x0=1, x1=3, what="down", note=EVIL),
            Bar(on=evil, link=True, x0=2, x1=8, what=EVIL, note=EVIL),
        ],
        cuts=[Cut(x0=5, x1=7.4, seconds=5.0, at_s=6.2)],
        left_out=3,
        arrows_left_out=1,
    )


@pytest.mark.parametrize("name", ["nothing", "held", "broke"])
def test_the_sections_come_in_order_and_each_says_something(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page = page_of(request.getfixturevalue(name), tmp_path)
    assert [section for section in page.sections if section not in AFTER] == ORDER
    for section in page.sections:
        assert len(page.texts[section].split()) > 3, section
    linked = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert linked == [f"#{section}" for section in page.sections[1:]]


def test_optional_sections_are_in_their_place_or_absent(
    held: Report, broke: Report, tmp_path: Path
) -> None:
    assert page_of(held, tmp_path / "held").sections == ORDER
    sections = page_of(broke, tmp_path / "broke").sections
    assert {section: sections[sections.index(section) - 1] for section in AFTER} == AFTER


def test_the_picture_has_a_legend_and_says_what_it_leaves_out(
    broke: Report, tmp_path: Path
) -> None:
    page = page_of(broke, tmp_path)
    assert [attributes["role"] for tag, attributes in page.tags if tag == "svg" and "role" in attributes] == ["img"]
    text = page.texts["picture"]
    for words in ("did not arrive, or left no trace", "arrived, not traced", "killed", "5.0 s in which nothing"):
        assert words in text
    assert "restarted" not in text
    assert "Not shown: 3 more messages and 1 more arrow." in text


def test_explained_losses_are_listed_by_check_and_folded_if_long(broke: Report, tmp_path: Path) -> None:
    text = page_of(broke, tmp_path).texts["explained"]
    places = [text.index(part) for part in ("trials", "trial 0 is missing", "trial 4 is", "2 more", "trial 5 is")]
    assert places == sorted(places)


def test_events_of_links_are_listed_with_their_second(broke: Report, tmp_path: Path) -> None:
    text = page_of(broke, tmp_path).texts["links"]
    places = [text.index(part) for part in ("0.000", "reset 0", "0.500", "reset 1", "reset 19", "2 more", "reset 20")]
    assert places == sorted(places)


@pytest.mark.parametrize("name", ["nothing", "held", "broke"])
def test_nothing_is_fetched_from_outside(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    page = page_of(request.getfixturevalue(name), tmp_path)
    for tag, attributes in page.tags:
        for key in ("src", "href", "data", "action", "srcset"):
            link = attributes.get(key)
            assert link is None or link.startswith("#") or link == "data:,", (tag, attributes)
    policy = [dict(a)["content"] or "" for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policy) == 1
    assert "default-src 'none'" in policy[0]
    assert "http" not in policy[0]


def test_text_of_users_stays_text(held: Report, broke: Report, tmp_path: Path) -> None:
    good, bad = page_of(held, tmp_path / "held"), page_of(broke, tmp_path / "broke")
    assert [tag for tag, _ in bad.tags].count("script") == [tag for tag, _ in good.tags].count("script")
    assert "img" not in [tag for tag, _ in bad.tags]
    for section in (
        "verdict", "broke", "picture", "checks", "explained", "links", "trials", "streams", "not-proven",
    ):  # fmt: skip
        assert EVIL in bad.texts[section], section


def test_text_that_looks_like_tex_is_broken_up_for_bokeh(broke: Report, tmp_path: Path) -> None:
    assert TEX not in write(broke, tmp_path).read_text(encoding="utf-8")


def test_an_exception_comes_first_and_then_what_broke_and_its_replay(broke: Report, tmp_path: Path) -> None:
    text = page_of(broke, tmp_path).texts["broke"]
    places = [text.index(part) for part in ("rig_1 — ValueError", "File x", "rig_1 lost 3 trials", broke.replay or "")]
    assert places == sorted(places)


def test_the_page_shows_what_programs_printed_and_links_the_log(broke: Report, tmp_path: Path) -> None:
    broke.outputs = [OutputRow("rig_1", "logs/rig_1.program.log", ["the <lever>", "is stuck"])]
    write(broke, tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert '<a href="logs/rig_1.program.log">' in html
    assert "the &lt;lever&gt;\nis stuck</pre>" in html
    assert '<details class="exception" open>' in html


def test_violations_past_the_twentieth_are_folded_away(broke: Report, tmp_path: Path) -> None:
    text = page_of(broke, tmp_path).texts["checks"]
    assert text.index("violation 19 ") < text.index("5 more") < text.index("violation 20 ")


def test_figures_are_easy_to_read_and_flagged_ones_say_so(held: Report, broke: Report, tmp_path: Path) -> None:
    good, bad = page_of(held, tmp_path / "held"), page_of(broke, tmp_path / "broke")
    assert "12,812" in good.texts["checks"]
    assert "1,204" in good.texts["latency"]
    assert "taken while the CPUs were overloaded" not in good.texts["latency"]
    assert "taken while the CPUs were overloaded" in bad.texts["latency"]


def test_the_slowest_messages_say_where_their_time_went(broke: Report, tmp_path: Path) -> None:
    legs = [Leg(what=f"waiting in {EVIL}", ms=150.0), Leg(what="from rig_1 to T", ms=50.0), Leg(what="from T", ms=1.0)]
    row = SlowRow(id=EVIL, key="DATA", frm="_rig_1", to="_T", at_s=2.5, took_ms=201.0, legs=legs, busy=True, fault=EVIL)
    page = page_of(msgspec.structs.replace(broke, slowest=[row]), tmp_path)
    text = page.texts["latency"]
    assert f"150 ms waiting in {EVIL}, 50.0 ms from rig_1 to T" in text
    assert "1.0 ms from T" not in text  # too short to matter: the bar has it
    assert "the CPUs of this computer were full meanwhile" in text
    widths = [attributes.get("style") for tag, attributes in page.tags if tag == "span" and "title" in attributes]
    assert widths == ["width:74.63%", "width:24.88%", "width:0.5%"]


def test_the_page_counts_the_processes_of_the_lab_and_says_what_the_others_are(held: Report, tmp_path: Path) -> None:
    page = write(held, tmp_path).read_text()
    assert "2 machines &nbsp;·&nbsp; 4 processes &nbsp;·&nbsp;" in page
    assert "The 4 processes of the lab, those that took the place of killed ones" in page
    assert "virtual time &nbsp;·&nbsp;" in write(msgspec.structs.replace(held, pace="fast"), tmp_path).read_text()


def test_the_page_has_a_dark_theme_on_screens_and_is_light_on_paper(held: Report, tmp_path: Path) -> None:
    page = write(held, tmp_path).read_text()
    assert '<meta name="color-scheme" content="light dark">' in page
    assert "@media screen and (prefers-color-scheme: dark)" in page
    assert "@media print" in page


@pytest.mark.parametrize(
    ("where", "is_bad"), [("explained by faults", False), ("not reported as missing", True), ("at the end", True)]
)
def test_a_missing_item_is_told_by_its_number_and_red_where_no_fault_explains_it(
    where: str, is_bad: bool, held: Report, tmp_path: Path
) -> None:
    row = StreamRow(machine="rig_1", stream="wheel", to="_T", reliable=True, sent=20, received=19, missing=["15"])
    page = write(msgspec.structs.replace(held, streams=[msgspec.structs.replace(row, where=where)]), tmp_path)
    told = '<td class="ids bad">no. 15' if is_bad else '<td class="ids">no. 15'
    assert told in page.read_text()


def test_trials_that_faults_explain_are_not_red(held: Report, tmp_path: Path) -> None:
    row = TrialRow(rig="rig_1", made=9, sent=9, handled=8, confirmed=8, twice=0, missing=["_rig_1_4"])
    page = write(msgspec.structs.replace(held, trials=[row]), tmp_path).read_text()
    assert '<td class="ids">_rig_1_4' in page
    failed = [msgspec.structs.replace(held.checks[0], result="fail")]
    page = write(msgspec.structs.replace(held, trials=[row], checks=failed), tmp_path).read_text()
    assert '<td class="ids bad">_rig_1_4' in page


def test_every_machine_has_a_row_for_its_clock(held: Report, tmp_path: Path) -> None:
    text = " ".join(page_of(held, tmp_path).texts["clocks"].split())
    assert "Terminal's clock ahead, ms" in text
    assert "rig_1 0.012 0.250" in text.replace("rig_10.0120.250", "rig_1 0.012 0.250")
    assert "never said" in text


def test_an_empty_section_says_so_in_a_sentence(nothing: Report, tmp_path: Path) -> None:
    page = page_of(nothing, tmp_path)
    assert "Nothing was seen to break." in page.texts["broke"]
    for section in ORDER[3:]:
        assert page.texts[section].strip().endswith("."), section


@pytest.mark.parametrize("name", ["nothing", "held", "broke"])
def test_the_json_is_the_report(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    report = request.getfixturevalue(name)
    write(report, tmp_path)
    content = (tmp_path / "report.json").read_bytes()
    assert msgspec.json.decode(content, type=Report) == report
    assert json.loads(content)["lab"] == report.lab


def test_writing_again_replaces_and_leaves_nothing_else(held: Report, nothing: Report, tmp_path: Path) -> None:
    write(held, tmp_path / "new" / "folder")
    page = write(nothing, tmp_path / "new" / "folder")
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "report.json"]
    assert nothing.sentence in page.read_text(encoding="utf-8")


def test_latest_links_to_the_newest_run_also_after_a_move(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    for run in ("pair-1", "pair-2"):
        (reports / run).mkdir(parents=True)
        point_latest(reports, reports / run)
        assert (reports / "latest").readlink() == Path(run)
    moved = reports.rename(tmp_path / "moved")
    assert (moved / "latest").resolve() == moved / "pair-2"
    assert sorted(path.name for path in moved.iterdir()) == ["latest", "pair-1", "pair-2"]


def test_a_folder_named_latest_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    (tmp_path / "pair-1").mkdir()
    with pytest.raises(OSError, match="latest"):
        point_latest(tmp_path, tmp_path / "pair-1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "pair-1"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, to see that the page draws")
@pytest.mark.parametrize("name", ["held", "broke"])
def test_a_browser_without_a_network_draws_every_chart(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page = write(request.getfixturevalue(name), tmp_path)
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", COUNT_DRAWN), encoding="utf-8")
    flags = "--window-size=1280,900 --headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
    flags += " --disable-background-networking"
    flags += " --disable-component-update --disable-sync --virtual-time-budget=5000 --enable-logging=stderr --dump-dom"
    command = [str(CHROMIUM), *flags.split(), f"--user-data-dir={tmp_path / 'chromium'}", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=patient(100), check=True)
    (body,) = [attributes for tag, attributes in Page(shown.stdout).tags if tag == "body"]
    assert int(body["data-drawn"] or 0) >= 4
    assert body["data-cut"] == "", "wider than a window of 1,280 px"
    assert shown.stdout.count("bk-Figure") >= 4
    said = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    assert not [line for line in said if "refused" in line.lower() or "error" in line.lower()], said
    assert "<title>evil</title>" not in shown.stdout
