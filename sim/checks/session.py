"""The session: the terminal has every trial and every state, and every copy of the data is proven complete."""

from __future__ import annotations

from collections import Counter, defaultdict
from difflib import SequenceMatcher

from sim.checks.content.orders import unstopped, wrong_parameters
from sim.checks.content.presence import untold_departures
from sim.checks.content.tables import wrong_tables
from sim.checks.message_fates import fate_of, path_to_confirm
from sim.checks.result import about_machine, excused, many, message_words, result_of
from sim.emulator.session import subject_of
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import seconds
from sim.evidence.violation import Violation
from sim.lab.names import is_node
from sim.verdict import Check, TrialRow

__all__ = ["check_session", "check_trials", "trial_rows"]


def check_trials(index: Index) -> Check:
    """The terminal's program handled every trial message once. The check `confirm` names the faults behind a loss."""
    rows = trial_rows(index)
    made = sum(row.made for row in rows)
    fates = {entry.id: fate_of(index, entry) for entry in index.made if entry.key == "DATA"}
    lost = {row.rig: [id for id in row.missing if not fates[id].is_explained] for row in rows}
    twice = {row.rig: sum(1 for entry in _trials(index, row.rig) if fates[entry.id].is_twice) for row in rows}
    missing = sum(len(row.missing) for row in rows) - sum(map(len, lost.values()))
    figures = f"{sum(map(len, lost.values()))} lost, {sum(twice.values())} twice"
    figures += f", {missing} explained by faults" if missing else ""
    broke = [_lost(row, lost[row.rig]) for row in rows if lost[row.rig]]
    broke += [
        about_machine(row.rig, f"{row.rig}: {twice[row.rig]} of {row.made} handled twice")
        for row in rows
        if twice[row.rig]
    ]
    explained, idle = excused(
        index,
        [about_machine(row.rig, f"whether trials of {row.rig} arrive: it made none") for row in rows if not row.made],
    )
    looked_at = f"{many(made, 'message')} of {many(len(rows), 'rig')}"
    return result_of("trials", looked_at, made, broke, unknown=idle, explained=explained, figures=figures)


def _lost(row: TrialRow, ids: list[str]) -> Violation:
    text = f"{row.rig}: {len(ids)} of {row.made} lost, first {ids[0]}"
    return about_machine(row.rig, text, messages=(ids[0],))


def _trials(index: Index, rig: str) -> list[Entry]:
    return [entry for entry in index.made_by["_" + rig] if entry.key == "DATA"]


def trial_rows(index: Index) -> list[TrialRow]:
    """A row for each rig that makes trials."""
    rows = []
    for machine in index.evidence.topology.machines:
        if machine.trials is None or machine.program is not None:
            continue
        made = _trials(index, machine.id)
        counts = [Counter(h.life for h in index.handled[entry.id]) for entry in made]
        settled = [index.settled.get((entry.by, entry.id)) for entry in made]
        rows.append(
            TrialRow(
                rig=machine.id,
                made=len(made),
                sent=sum(1 for entry in made if index.sendings[entry.id]),
                handled=sum(1 for count in counts if count),
                confirmed=sum(1 for entry in settled if entry is not None and entry.value == "confirmed"),
                twice=sum(1 for count in counts if count and max(count.values()) > 1),
                missing=[entry.id for entry, count in zip(made, counts, strict=True) if not count],
            )
        )
    return rows


def check_session(index: Index) -> Check:
    """Every START began one task, and changes of parameters came after it; every state reached the terminal in order;
    and every copy is proven complete.
    """
    evidence = index.evidence
    broke: list[Violation] = []
    explained: list[str] = []
    arrived = index.heard_states
    for machine in evidence.topology.machines[1:]:
        if machine.program is None:
            for wrong, why in (_wrong_states(index, machine.id), (_wrong_station_states(index, machine.id), [])):
                broke, explained = broke + wrong, explained + why
            broke += _wrong_tasks(index, machine.id)
    asked, wrong, why = _wrong_coherence(index)
    orders = sum(1 for entry in index.made if entry.key in ("START", "STOP"))
    states = sum(len(arrived[machine.id]) for machine in evidence.topology.machines[1:] if machine.program is None)
    looked_at = f"{many(orders, 'order')}, {many(states, 'state')}, {many(asked, 'session')}"
    return result_of(
        "session",
        looked_at,
        orders + states + asked,
        [
            *(*broke, *wrong, *wrong_parameters(index), *unstopped(index)),
            *(*untold_departures(index), *wrong_tables(index)),
        ],
        explained=[*explained, *why],
    )


# -- states ------------------------------------------------------------------------------------------------------------


def _wrong_states(index: Index, machine: str) -> tuple[list[Violation], list[str]]:
    """Compare the states that the terminal received from a program with those that it sent. Only a fault excuses."""
    reported = index.said_states["_" + machine]
    arrived = [entry for entry in index.heard_states[machine] if entry.first_sender == "_" + machine]
    sent, received = [entry.value for entry in reported], [entry.value["state"] for entry in arrived]
    if sent == received:
        return [], []
    broke = [about_machine(machine, f"{machine} said {sent}, and the terminal heard {received}")]
    if not index.outages:
        return broke, []
    made = _messages_of(index, machine, reported)
    arrived, again = _without_repeats(index, made, arrived)
    missing = _missing(reported, made, arrived)
    last = [entry.value["state"] for entry in index.heard_states[machine]][-1:]  # even if its station reported it
    if again is None or missing is None or last != [entry.value for entry in reported][-1:]:
        return broke, []
    explained = list(again)
    for entry, message in missing:
        why = _why_unheard(index, entry, message)
        if why is None:
            return broke, []
        explained.append(f"that {machine} said {entry.value} is not known to the terminal: {why}")
    return [], explained


def _messages_of(index: Index, machine: str, reported: list[Entry]) -> list[Entry | None]:
    """The message of each state; None where the program was killed before it made one."""
    lives: dict[int, list[Entry]] = defaultdict(list)
    for entry in index.made_by["_" + machine]:
        if entry.key == "STATE":
            lives[entry.life].append(entry)
    return [lives[entry.life].pop(0) if lives[entry.life] else None for entry in reported]


def _without_repeats(
    index: Index, made: list[Entry | None], arrived: list[Entry]
) -> tuple[list[Entry], list[str] | None]:
    """The states received, each message once, and why messages came again; None if nothing excuses one of them."""
    known = {message.id: message for message in made if message is not None}
    first: dict[str, Entry] = {}
    once, again = [], []
    for entry in arrived:
        message = known.get(entry.first)
        if message is None or entry.first not in first:
            once.append(entry)
            first[entry.first] = entry
            continue
        relays = [name for name in path_to_confirm(index, message) if not is_node(name)]
        kill = index.outages.relays_killed(relays, message.t, entry.t)
        is_next_life = entry.life != first[entry.first].life
        if not entry.redelivered or (kill is None and not is_next_life):
            return once, None
        why = f": {kill.words}" if kill else ""
        again.append(f"{message_words(message)} came again, marked redelivered{why}")
    return once, again


def _missing(
    reported: list[Entry], made: list[Entry | None], arrived: list[Entry]
) -> list[tuple[Entry, Entry | None]] | None:
    """The states that were sent and not received. None if one was received that was not sent, or in another order."""
    ids = {message.id for message in made if message is not None}
    sent = [message.id if message is not None else entry.value for entry, message in zip(reported, made, strict=True)]
    received = [entry.first if entry.first in ids else entry.value["state"] for entry in arrived]
    missing = []
    for do, i, j, k, m in SequenceMatcher(a=sent, b=received, autojunk=False).get_opcodes():
        if do != "equal":
            missing += list(zip(reported[i:j], made[i:j], strict=True))
            if k < m:
                return None
    return missing


def _why_unheard(index: Index, reported: Entry, message: Entry | None) -> str | None:
    if message is None:
        kill = index.outages.killed(reported.by, reported.t)
        return kill.words if kill is not None else None
    fate = fate_of(index, message)
    if fate.is_confirmed or fate.broke or fate.unknown:
        return None
    if fate.lost_to:
        return fate.lost_to
    kill = index.outages.killed(reported.by, reported.t)  # else it would be unknown
    return kill.words if kill is not None and not index.durable(reported.by) else None


def _wrong_station_states(index: Index, machine: str) -> list[Violation]:
    """The state that a station reports by itself is the last one of its program, unless a fault excuses that."""
    reported = index.said_states["_" + machine]
    last = None
    for entry in index.heard_states[machine]:
        state = entry.value["state"]
        if entry.first_sender == "_" + machine:
            last = state
        elif state != last and not _may_differ(index, machine, entry, reported):
            text = f"the station {machine} called its own state {state} while its program's was {last}"
            return [about_machine(machine, text)]
    return []


def _may_differ(index: Index, machine: str, arrived: Entry, reported: list[Entry]) -> bool:
    """Whether a fault excuses that a station reports another state than the last one received from its program.

    So do full CPUs: the two come by different messages, of which either may be late.
    """
    if arrived.value["state"] is None and _was_restarted(index, machine, arrived.t):
        return True  # a restarted station does not know it yet
    if arrived.value["state"] is None or not (index.outages or index.slow_s or index.evidence.busy):
        return False
    terminal = index.evidence.topology.terminal.id
    path = ["_" + machine, *index.tree.path(machine, terminal), "_" + terminal]
    since = arrived.t - seconds(index.repeat_s)
    is_struck = any(outage.overlaps(since, arrived.t) for outage in index.outages.on(path, both_ways=True))
    before = [entry.value for entry in reported if entry.t <= arrived.t]
    if index.slow_s:
        return arrived.value["state"] in before  # a slow handler of its station keeps both words waiting
    if index.was_busy(arrived.t, arrived.t):
        return arrived.value["state"] in ["IDLE", *before][-2:]  # it shook hands with IDLE
    return is_struck and arrived.value["state"] in before[-2:]


def _was_restarted(index: Index, machine: str, t: int) -> bool:
    """Whether a station was killed before `t`: by a fault, or in the crash after the storms."""
    started = index.outages.last_start(machine)
    return index.outages.killed(machine, 0, t) is not None or (started is not None and started <= t)


# -- tasks and proofs ----------------------------------------------------------------------------------------


def _wrong_tasks(index: Index, machine: str) -> list[Violation]:
    """A program begins a session once, by its START. In its next life it may continue it."""
    begun: set[int] = set()
    runs = Counter(entry.life for entry in index.said_states["_" + machine] if entry.value == "RUNNING")
    orders: dict[int, set[int]] = defaultdict(set)
    for entry in index.orders["_" + machine]:
        facts = entry.value if isinstance(entry.value, dict) else {}
        orders[entry.life].add(int(facts.get("session", 0)))
    broke = []
    for life in sorted(runs):
        fresh = orders[life] - begun
        begun |= orders[life]
        if runs[life] > len(fresh) + (life > 0):
            text = f"{machine} began {runs[life]} tasks in one life, and was to begin {len(fresh)}"
            broke.append(about_machine(machine, text))
    return broke


def _wrong_coherence(index: Index) -> tuple[int, list[Violation], list[str]]:
    """Check the proof of each session of each rig that makes trials.

    Returns how many sessions there are, what is wrong, and what a fault explains.
    """
    topology = index.evidence.topology
    answers = {
        (e.value["pilot"], e.value["session"], e.value["subject"]): e.value for e in index.evidence.journal.of("cohere")
    }
    graduations = Counter(graduation.pilot for graduation in topology.session.graduate)
    broke: list[Violation] = []
    explained: list[str] = []
    asked = 0
    for rig in (pilot for pilot in topology.pilots if pilot.trials is not None and pilot.program is None):
        proven = 0
        for session in range(1 + graduations[rig.id]):
            asked += 1
            answer = answers.get((rig.id, str(session), subject_of(rig, session)))
            if answer is None:
                text = f"{rig.id} never proved that the terminal has all of session {session}"
                broke.append(about_machine(rig.id, text))
                continue
            proven += answer["count"]
            if answer.get("blind"):
                text = f"the proof of {rig.id} for session {session} would also fit a copy that differs, so it is none"
                broke.append(about_machine(rig.id, text))
            if not answer["agrees"]:
                text = _apart(rig.id, session, answer["count"], answer["here"])
                why = _why_apart(index, rig.id, answer["count"], answer["here"])
                broke += [about_machine(rig.id, text)] if why is None else []
                explained += [text + why] if why is not None else []
        made = len(_vouched(index, rig.id))
        if proven != made:
            broke.append(about_machine(rig.id, f"{rig.id} made {made} messages, and its proofs cover {proven}"))
    return asked, broke, explained


def _apart(rig: str, session: int, count: int, here: int) -> str:
    if count == here:
        return f"the {count} messages of session {session} are not the same at {rig} and at the terminal"
    return f"{rig} counts {count} messages of session {session}, and the terminal has {here}"


def _vouched(index: Index, rig: str) -> list[Entry]:
    """The trials that the program of a rig can prove. It has lost count of those of a killed life."""
    kill = index.outages.killed("_" + rig, 0)
    made = _trials(index, rig)
    last = index.outages.last_life("_" + rig)
    return made if kill is None or last is None else [entry for entry in made if entry.life == last]


def _why_apart(index: Index, rig: str, count: int, here: int) -> str | None:
    """What excuses that a rig counted `count` and the terminal `here`. A killed program counts from 0 again."""
    terminal = "_" + index.evidence.topology.terminal.id
    kills = [index.outages.killed("_" + rig, 0), index.outages.killed(terminal, 0)]
    missing = [entry for entry in _trials(index, rig) if fate_of(index, entry).is_explained]
    gone = _gone_with_a_life(index, rig, terminal)
    if here < count - len(missing) - len(gone) or (here > count and kills[0] is None):
        return None
    words = [kill.words for kill in kills if kill is not None]
    words += [f"{many(len(missing), 'message')} lost to faults"] if missing else []
    return ": " + "; ".join(words) if words else None


def _gone_with_a_life(index: Index, rig: str, terminal: str) -> list[Entry]:
    """The trials that the terminal's program handled in a former life only, which its last life does not count."""
    last = index.outages.last_life(terminal)
    lives = {entry.id: {copy.life for copy in index.handled[entry.id]} for entry in _trials(index, rig)}
    gone = [entry for entry in _trials(index, rig) if lives[entry.id] and last not in lives[entry.id]]
    return gone if last is not None else []
