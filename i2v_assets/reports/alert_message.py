"""One message for all that is new, with what to do about it, in Slack's markup. Pure."""

from urllib.parse import quote

from i2v_assets.reports.alerts import FOR_PEOPLE, AlertState, FailedRun, FailingTicks
from resources.messages import counted, escape_slack
from resources.money import dollars
from resources.redact import redact

MOST_LINES = 10
"""Clips that are reported one by one; more are reported as a number: a message is read on a telephone."""

MOST_WORDS = 300
"""Characters of one reason or remedy."""

MOST_NAMES = 3
"""Refused uploads that are named; `i2v status --state refused` has them all with their reasons."""


def message(fresh: AlertState, ui_url: str = "", *, sandbox: bool = False) -> str:
    """The message, empty where there is nothing new; free of addresses but the UI's own."""
    told = (
        _ticks(fresh, ui_url),
        _unknown(fresh),
        _runs(fresh, ui_url),
        _failed(fresh, ui_url),
        _waiting(fresh, sandbox),
        _late(fresh),
        _refused(fresh),
        _doubted(fresh),
        _surprises(fresh),
        _substituted(fresh),
    )
    blocks = [block for block in told if block]
    if not blocks:
        return ""
    if ui_url:
        blocks.append(f"<{ui_url.rstrip('/')}/runs|Runs> · <{ui_url.rstrip('/')}/assets/clip_video|Clips>")
    if sandbox:
        blocks.append("_Sandbox: play money._")
    return "\n\n".join(blocks)


def _failed(fresh: AlertState, ui_url: str) -> str:
    if not fresh.failed:
        return ""
    lines = [f"*{counted(len(fresh.failed), 'clip')} failed*"]
    for found in fresh.failed[:MOST_LINES]:
        name = _plain(found.clip)
        if ui_url:
            name = f"<{ui_url.rstrip('/')}/assets/clip_video?view=partitions&partition={quote(found.clip, safe='')}|{name}>"
        remedy = f" _{_plain(found.remedy)}_" if found.remedy else ""
        lines.append(f"• {name}: {_plain(found.reason)}{remedy}")
    more = len(fresh.failed) - MOST_LINES
    return "\n".join([*lines, f"and {more} more: `i2v status --state failed`"] if more > 0 else lines)


def _runs(fresh: AlertState, ui_url: str) -> str:
    """A line for each job, with the words of its latest run."""
    jobs: dict[str, list[FailedRun]] = {}
    for run in sorted(fresh.runs, key=lambda run: run.at):
        jobs.setdefault(run.job, []).append(run)
    if not jobs:
        return ""
    lines = [
        f"*{counted(len(fresh.runs), 'run')} failed* and will not be tried again by Dagster. Fix what it says, then start "
        "the job from its launchpad, or wait for its next time."
    ]
    for job, runs in jobs.items():
        latest = runs[-1]
        name = f"run {latest.run_id[:8]}"
        if ui_url:
            name = f"<{ui_url.rstrip('/')}/runs/{latest.run_id}|{name}>"
        times = f" {len(runs)} times, the last one {name}" if len(runs) > 1 else f", {name}"
        lines.append(f"• {_plain(job)}{times}: {_plain(latest.why) or 'it left no words: see its log'}")
    return "\n".join(lines)


def _ticks(fresh: AlertState, ui_url: str) -> str:
    """A line for each reason: what one service does not answer fails several."""
    whys: dict[str, list[FailingTicks]] = {}
    for each in fresh.ticks:
        whys.setdefault(_plain(each.why), []).append(each)
    if not whys:
        return ""
    where = f"<{ui_url.rstrip('/')}/automation|under Automation>" if ui_url else "under Automation in the Dagster UI"
    lines = [
        f"*{counted(len(fresh.ticks), 'sensor or schedule', 'sensors or schedules')} cannot do their work* ({where}): until "
        "that is fixed, they start nothing. `i2v doctor` checks token, bucket, clock and ledger."
    ]
    for why, failing in whys.items():
        lines.append(f"• {', '.join(_plain(each.name) for each in failing)}: {why or 'no words'}")
    return "\n".join(lines)


def _late(fresh: AlertState) -> str:
    count = len(fresh.late.since)
    if not count:
        return ""
    wait = "have" if count > 1 else "has"
    return (
        f"*{counted(count, 'clip')} {wait} been without an answer for over {_long(fresh.late.minutes)}*, the first since "
        f"{fresh.late.since[0]:%Y-%m-%d %H:%M} UTC. `i2v status` says what they wait for; the check `waiting_too_long` of "
        "each says since when."
    )


def _refused(fresh: AlertState) -> str:
    count = len(fresh.refused)
    if not count:
        return ""
    names = ", ".join(_plain(found.name) for found in fresh.refused[:MOST_NAMES])
    more = f" and {count - MOST_NAMES:,} more" if count > MOST_NAMES else ""
    return (
        f"*{counted(count, 'upload')} refused*: {names}{more}. `i2v status --state refused` says why and "
        "what to do, as do the notes below `clips/_refused/` and the REFUSED.txt of a clip."
    )


def _doubted(fresh: AlertState) -> str:
    if not fresh.doubted:
        return ""
    names = ", ".join(_plain(found.clip) for found in fresh.doubted[:MOST_NAMES])
    more = f" and {len(fresh.doubted) - MOST_NAMES:,} more" if len(fresh.doubted) > MOST_NAMES else ""
    total = sum(found.counted_microdollars or 0 for found in fresh.doubted)
    return (
        f"*{counted(len(fresh.doubted), 'cost')} cannot be right*: {names}{more}. The service reports nothing, or far more than "
        f"the price; {dollars(total)} as planned are counted. Compare with its console; `i2v ledger show` has what it said, `i2v ledger cost` corrects it."
    )


def _surprises(fresh: AlertState) -> str:
    if not fresh.surprises:
        return ""
    over = sum(found.told_microdollars - found.reserved_microdollars for found in fresh.surprises)
    lines = [
        f"*{counted(len(fresh.surprises), 'request')} cost more than was agreed to*, {dollars(over)} in all. More of their "
        "kind waits. Compare with the service's console; to agree, run the command."
    ]
    for found in fresh.surprises[:MOST_LINES]:
        cost = f"{dollars(found.told_microdollars)} and not at most {dollars(found.reserved_microdollars)}"
        lines.append(f"• {_plain(found.clip)}: {cost}. `i2v models --accept {_plain(found.family)}`")
    more = len(fresh.surprises) - MOST_LINES
    return "\n".join([*lines, f"and {more} more: `i2v models`"] if more > 0 else lines)


def _substituted(fresh: AlertState) -> str:
    """A line for each family: another model answered than was paid for."""
    if not fresh.substituted:
        return ""
    lines = ["*Another model answered than was paid for*. More of the family waits until a person has agreed to it."]
    lines += [
        f"• {_plain(found.reason)} `i2v models --accept {_plain(found.family)}`"
        for found in fresh.substituted[:MOST_LINES]
    ]
    return "\n".join(lines)


def _long(minutes: int) -> str:
    return f"{minutes // 60} h" if minutes % 60 == 0 else counted(minutes, "minute")


def _unknown(fresh: AlertState) -> str:
    if not fresh.unknown:
        return ""
    price = sum(found.price_microdollars or 0 for found in fresh.unknown)
    lines = [
        f"*{counted(len(fresh.unknown), 'request')} of unknown outcome* (up to {dollars(price)}): sent, and no answer came. "
        "Look each up at the service, then run `i2v ledger resolve` with `--request-id ID`, `--not-charged` or "
        "`--given-up`; until then it is not sent again."
    ]
    for found in fresh.unknown[:MOST_LINES]:
        lines.append(f"• {_plain(found.clip)}: `i2v ledger resolve {found.fingerprint[:12]} ...`")
    more = len(fresh.unknown) - MOST_LINES
    return "\n".join([*lines, f"and {more} more: `i2v ledger list --state unknown`"] if more > 0 else lines)


def _waiting(fresh: AlertState, sandbox: bool) -> str:
    lines = []
    for kind, count in fresh.waiting.items():
        spent = f" ({dollars(fresh.spent)} of {dollars(fresh.cap)})" if kind == "budget" else ""
        wait = "wait" if count > 1 else "waits"
        words = FOR_PEOPLE[kind].replace("I2V_BUDGET", "I2V_SANDBOX_BUDGET") if sandbox else FOR_PEOPLE[kind]
        lines.append(f"*{counted(count, 'clip')} {wait} for: {kind}*{spent}. {words}")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """One line without secrets and without what Slack reads as its own."""
    return escape_slack(redact(" ".join(text.split()))[:MOST_WORDS])
