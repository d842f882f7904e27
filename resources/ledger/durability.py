"""What the database under the ledger promises: whether a committed claim survives a crash, and the loss of its machine."""

from dataclasses import dataclass

import sqlalchemy as sa

from resources.ledger.database import Database
from resources.messages import counted

_SETTINGS = sa.text(
    "SELECT name, setting, reset_val FROM pg_settings WHERE name IN"
    " ('fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names')"
)
_STANDBYS = sa.text("SELECT count(*) FROM pg_stat_replication")
_IN_RECOVERY = sa.text("SELECT pg_is_in_recovery()")


@dataclass(frozen=True, slots=True)
class Promise:
    """One fact about the database: its name, whether the ledger can rely on it, what it means, and what to do."""

    name: str
    holds: bool
    text: str
    remedy: str = ""


def promises(database: Database) -> tuple[Promise, ...]:
    """Return what the database promises about a committed claim.

    Raises:
        LedgerUnavailable: the database cannot be read.
    """
    if database.is_sqlite:
        return (_sqlite(database),)
    with database.read() as connection:
        found = {row.name: (row.setting, row.reset_val) for row in connection.execute(_SETTINGS)}
        standbys: int = connection.execute(_STANDBYS).scalar_one()
        standby: bool = connection.execute(_IN_RECOVERY).scalar_one()
    return (*_disk(found), _commits(found), _replication(found, standbys, standby=standby))


def _sqlite(database: Database) -> Promise:
    with database.read() as connection:
        level: int = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    if level >= 2:  # FULL
        return Promise("ledger, commits", True, "a commit is on the disk before anything is sent")
    return Promise("ledger, commits", False, "SQLite does not wait for the disk", "Report this; the ledger sets it.")


def _disk(found: dict[str, tuple[str, str]]) -> tuple[Promise, ...]:
    off = [name for name in ("fsync", "full_page_writes") if found.get(name, ("on", "on"))[0] == "off"]
    if not off:
        return (Promise("ledger, disk", True, "fsync and full_page_writes are on"),)
    text = f"{' and '.join(off)} off: a crash of the machine may lose or damage what was paid for"
    return (Promise("ledger, disk", False, text, f"Set {' and '.join(f'{name} = on' for name in off)} on the server."),)


def _commits(found: dict[str, tuple[str, str]]) -> Promise:
    setting, default = found.get("synchronous_commit", ("on", "on"))
    if setting not in ("on", "remote_apply"):
        return Promise(
            "ledger, commits", False, f"synchronous_commit is {setting}: a crash may forget claims that were paid for",
            "A pooler between here and the server drops the session's setting: set synchronous_commit = on on the server.",
        )  # fmt: skip
    words = "a commit is on the disk before anything is sent"
    if default != setting:
        words += f" (the server's default is {default}; the ledger's sessions set {setting})"
    return Promise("ledger, commits", True, words)


def _replication(found: dict[str, tuple[str, str]], standbys: int, *, standby: bool) -> Promise:
    name = "ledger, standby"
    if standby:
        text = "this server is a standby, and takes no writes"
        return Promise(name, False, text, "Point I2V_LEDGER_URL to the primary, or promote this one.")
    if standbys == 0:
        return Promise(name, True, "no standby is connected; the backup is what a lost machine leaves")
    names = found.get("synchronous_standby_names", ("", ""))[0]
    if names:
        return Promise(name, True, f"{counted(standbys, 'standby', 'standbys')}, synchronous: each has every claim")
    return Promise(
        name, True,
        f"{counted(standbys, 'standby', 'standbys')}, asynchronous: one that is promoted may lack the latest claims. What a"
        " running process has sent is written again; set synchronous_standby_names so that none is missing",
    )  # fmt: skip
