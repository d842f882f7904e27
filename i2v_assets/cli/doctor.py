"""`i2v doctor`: check everything that a clip needs; each line is ok, or says what to do."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from i2v_assets.cli.console import AsJson, out, print_json
from i2v_assets.cli.doctor_bucket import bucket_points, lifecycle
from i2v_assets.cli.exit_codes import Exit, exit_code
from i2v_assets.cli.findings import Finding, good
from i2v_assets.session import Session, open_bucket, open_client, open_session
from resources.errors import I2VError
from resources.ledger.durability import promises
from resources.ledger.records import PriceHold, State
from resources.media.libraries import library_versions, missing_codecs
from resources.money import dollars
from resources.runcomfy.client import service_time
from resources.runcomfy.offers import LiveOffer
from resources.schemas.endpoints import family_route
from resources.schemas.families import default_families
from resources.scratch import scratch_root
from resources.settings import Settings, load_settings
from resources.storage.reachability import credentials_expire_at
from resources.witness.record import SHORT, refusal, stranger
from resources.witness.store import Place

app = typer.Typer()

SKEW = timedelta(seconds=30)
"""If clocks are further apart, ages of uploads and lives of addresses are wrong; S3 itself refuses at 15 minutes."""

FREE_BYTES = 2 * 1024**3
"""Room for the largest video that the service may send (2 GiB)."""


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the token, the bucket, addresses, the ledger, the catalogue, clocks and the disk.

    It costs nothing. Exit code 0 only when every line is ok.

        i2v doctor

        i2v --dev doctor
    """
    settings = load_settings()
    found: list[Finding] = []
    for name, check in CHECKS:
        try:
            lines = list(check(settings))
        except I2VError as error:
            lines = [Finding(name, False, error.message, error.remedy, exit_code(error))]
        found += lines
        if not as_json:
            for line in lines:
                _print(line)
    if as_json:
        print_json({"ok": all(line.ok for line in found), "checks": [asdict(line) for line in found]})
    raise typer.Exit(next((line.code or Exit.FAILED for line in found if not line.ok), Exit.OK))


def _print(line: Finding) -> None:
    mark = Text("ok    ", style="green") if line.ok else Text("WRONG ", style="bold red")
    out.print(mark.append(f"{line.name}: {line.words}", style="not bold default"))
    if line.remedy:
        out.print(Text(f"      {line.remedy}"))


def _service(settings: Settings) -> Iterator[Finding]:
    note = "a stand-in on this machine, play money" if settings.is_sandbox else "generations cost money"
    yield good("service", f"{settings.service} ({note})")


def _token(settings: Settings) -> Iterator[Finding]:
    async def ask() -> tuple[str, int]:
        async with open_client(settings) as client:
            return (who := await client.account()).email or who.user_id, (await client.balance()).microdollars

    name, left = asyncio.run(ask())
    words = f"accepted, {name}, balance {dollars(left)}"
    if left <= 0:
        yield Finding("token", False, words, "Top up the account: nothing can be made.", Exit.FAILED)
    else:
        yield good("token", words)


def _credentials(settings: Settings) -> Iterator[Finding]:
    ends = credentials_expire_at()
    if ends is None:
        yield good("S3 credentials", "no end is known")
        return
    left = ends - datetime.now(UTC)
    words = f"the session ends in {max(left.total_seconds(), 0) / 60:.0f} minutes"
    if left < timedelta(seconds=settings.presign_seconds):
        yield Finding(
            "S3 credentials",
            False,
            f"{words}, before an address that is signed now would (I2V_PRESIGN_SECONDS is {settings.presign_seconds}).",
            "Renew the session, use longer ones or keys of a user, or lower I2V_PRESIGN_SECONDS.",
            Exit.USAGE,
        )
    else:
        yield good("S3 credentials", words)


def _ledger(settings: Settings) -> Iterator[Finding]:

    with open_session() as session:
        session.ledger.prove_writable()
        unknown = session.ledger.list((State.UNKNOWN,), service=settings.service)
        kind = "SQLite" if session.ledger.database.is_sqlite else "Postgres"
        promised = promises(session.ledger.database)
        pause = session.ledger.pause_state(settings.service)
        outage = session.ledger.outage(settings.service)
        yield good("ledger", f"{kind}, can be written: {session.ledger.name}")
        yield _witness(settings, session)
    yield from lifecycle(settings)
    for promise in promised:
        code = Exit.OK if promise.holds else Exit.FAILED
        yield Finding(promise.name, promise.holds, promise.text, promise.remedy, code)
    if pause.seconds > 0:
        words = f"asked to be left alone for {pause.seconds / 60:.0f} more minutes; what is paid for is still asked for"
        yield Finding("service, pause", False, words, "`i2v service resume` ends the pause.", Exit.TRY_LATER)
    if outage is not None:
        yield Finding("service, outage", False, outage.text, "It goes on by itself.", Exit.TRY_LATER)
    if unknown:
        yield Finding(
            "requests",
            False,
            f"{len(unknown)} with an unknown outcome, the first of clip {unknown[0].clip}; they may have been charged.",
            "`i2v ledger list --state unknown` lists them, `i2v ledger resolve` settles each.",
            Exit.TRY_LATER,
        )


def _witness(settings: Settings, session: Session) -> Finding:
    """Whether the bucket knows this ledger as the one that may submit; asks only, and begins nothing."""
    name, place, ledger = "ledger of the bucket", Place(session.bucket), session.ledger
    document = place.document(settings.service)
    if document is None and not place.document_exists(settings.service):
        if place.holds_paid_work() and not place.knows(ledger, settings.service):
            refused = stranger(ledger.id, settings.bucket)
            return Finding(name, False, refused.message, refused.remedy, Exit.USAGE)
        return good(name, "none yet; the first submit names this one")
    if (problem := refusal(document, ledger.id, settings.bucket)) is not None:
        return Finding(name, False, problem.message, problem.remedy, Exit.USAGE)
    return good(name, f"this one, {ledger.id[:SHORT]}")


def _catalogue(_: Settings) -> Iterator[Finding]:
    async def ask() -> list[LiveOffer]:
        with open_session() as session:
            holds.extend(session.ledger.price_holds(session.settings.service))
            async with session.open_service() as service:
                return [await service.offers.live(family) for family in default_families()]

    holds: list[PriceHold] = []
    for live in asyncio.run(ask()):
        name = f"catalogue, {family_route(live.family)}"
        if live.offer is None:
            yield Finding(name, False, f"no id of {live.family} answers", "I2V_MODEL_IDS pins an id.", Exit.UNAVAILABLE)
        elif live.unapproved_changes:
            words = f"{live.offer.endpoint.model_id} is not what was agreed to: {'; '.join(live.unapproved_changes)}"
            yield Finding(name, False, words, f"To agree: i2v models --accept {live.family}", Exit.TRY_LATER)
        elif held := [hold.reason for hold in holds if hold.family == live.family]:
            yield Finding(name, False, held[0], f"To agree: i2v models --accept {live.family}", Exit.TRY_LATER)
        else:
            price = dollars(live.offer.price_microdollars_per_unit) or "an unknown price"
            yield good(name, f"{live.offer.endpoint.model_id}, {price} per {live.offer.price_unit}")


def _clocks(settings: Settings) -> Iterator[Finding]:
    bucket = open_bucket(settings)
    bucket.check()
    clocks = {"storage": bucket.now(), "service": asyncio.run(service_time(settings.runcomfy_model_api_base))}
    for who, moment in clocks.items():
        if moment is None:
            yield good(f"clock, {who}", "does not report its time")
            continue
        apart = (datetime.now(UTC) - moment).total_seconds()
        if abs(apart) > SKEW.total_seconds():
            words = f"this machine is {abs(apart):.0f} s {'ahead' if apart > 0 else 'behind'}"
            yield Finding(f"clock, {who}", False, words, "Synchronise this machine's clock (NTP).", Exit.USAGE)
        else:
            yield good(f"clock, {who}", f"{abs(apart):.0f} s apart")


def _libraries(_: Settings) -> Iterator[Finding]:
    words = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    missing = missing_codecs()
    if missing:
        remedy = "Install PyAV from its wheel, which brings FFmpeg with it: pip install --force-reinstall av"
        yield Finding("media libraries", False, f"without {', '.join(missing)} ({words})", remedy, Exit.FAILED)
    else:
        yield good("media libraries", words)


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = _existing(settings.data_dir.absolute())
    for name, place in (("data folder", folder), ("scratch folder", _existing(scratch_root(settings.data_dir)))):
        free = shutil.disk_usage(place).free
        words = f"{free / 1024**3:.1f} GiB free at {place}"
        if free < FREE_BYTES:
            remedy = "Free some space, or point I2V_DATA_DIR elsewhere: scratch files lie in it too."
            yield Finding(name, False, words, remedy, Exit.FAILED)
        else:
            yield good(name, words)


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _uploads(settings: Settings) -> Iterator[Finding]:
    from i2v_assets.uploads.misplaced import misplaced_media, misplaced_words

    found = misplaced_media(open_bucket(settings))
    if found:
        yield Finding("uploads", False, misplaced_words(found), "Keys tell upper from lower case.", Exit.DATA)
    else:
        yield good("uploads", "no media lie beside uploads/")


CHECKS: tuple[tuple[str, Callable[[Settings], Iterator[Any]]], ...] = (
    ("service", _service),
    ("token", _token),
    ("bucket", bucket_points),
    ("S3 credentials", _credentials),
    ("uploads", _uploads),
    ("ledger", _ledger),
    ("catalogue", _catalogue),
    ("clocks", _clocks),
    ("media libraries", _libraries),
    ("disk", _disk),
)
"""Every check with the name of its line; cheap checks first, causes before their effects."""
