"""`i2v ledger join`, `rebuild`, `import` and `restored`, through the front door; the judge is the sandbox's charges."""

import os
from pathlib import Path
from typing import Any

import pytest

from resources.ledger.ledger import Ledger
from resources.ledger.records import State
from resources.storage import keys


def destroy(world: Any) -> Path:
    path = world.folder / "data" / "ledger.sqlite"
    for part in path.parent.glob("ledger.sqlite*"):
        part.unlink()
    return path


def run_again(world: Any, image: Path) -> Any:
    return world("run", "animate", "--image", str(image), "--no-download", "--json")


def test_the_same_inputs_from_another_working_folder_are_not_paid_again_in_silence(
    world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = world.image()
    assert run_again(world, image).code == 0
    charged = world.operator.charges
    monkeypatch.setenv("I2V_DATA_DIR", str(tmp_path / "another"))
    ran = run_again(world, image)
    assert ran.code == 75
    assert "belongs to ledger" in ran.err
    assert str(tmp_path / "another" / "ledger.sqlite") in ran.err
    assert world.operator.charges == charged
    joined = world("ledger", "join", "--json").json
    assert [line["after"] for line in joined["light"]] == ["succeeded"]
    assert joined["retired"]
    assert run_again(world, image).json["status"] == "succeeded"
    assert world.operator.charges == charged
    monkeypatch.setenv("I2V_DATA_DIR", str(tmp_path / "data"))
    ran = run_again(world, world.image("second.jpg"))
    assert "was retired" in ran.err
    assert world.operator.charges == charged


@pytest.mark.parametrize("left", ["nothing", "empty", "garbage", "another program's"])
def test_a_lost_ledger_is_rebuilt_and_pays_nothing_again(world: Any, left: str) -> None:
    import sqlite3

    images = [world.image(f"{number}.jpg") for number in range(3)]
    assert [run_again(world, image).code for image in images] == [0, 0, 0]
    charged = world.operator.charges
    path = destroy(world)
    if left == "empty":
        path.touch()
    elif left == "garbage":
        path.write_bytes(os.urandom(5000))
    elif left == "another program's":
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE notes (text)")
        other.close()
    refused = run_again(world, images[0])
    assert refused.code in (64, 75)
    assert "i2v ledger rebuild" in refused.err
    assert world.operator.charges == charged
    rebuilt = world("ledger", "rebuild", "--json").json
    assert len(rebuilt["light"]) == 3
    assert (rebuilt["aside"] is not None) == (left != "nothing")
    assert all(run_again(world, image).code == 0 for image in images)
    assert world.operator.charges == charged


def test_rebuild_knows_videos_of_before_the_records_by_their_manifests(world: Any) -> None:
    world.upload("hero.jpg", world.image().read_bytes())
    world.make("hero")
    charged = world.operator.charges
    with world.session() as (ledger, _):
        (before,) = ledger.list()
    world.bucket.delete_many([info.key for info in world.bucket.list(keys.REQUESTS)])
    destroy(world)
    world("ledger", "rebuild")
    with world.session() as (ledger, _):
        (after,) = ledger.list()
        for name in ("fingerprint", "clip", "request_id", "model_id", "price_microdollars", "video_sha256", "seed"):
            assert getattr(after, name) == getattr(before, name), name
    world.make("hero")
    assert world.operator.charges == charged


def test_a_ledger_that_sent_requests_is_not_rebuilt_over(
    world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run_again(world, world.image()).code == 0
    world.bucket.delete_many([info.key for info in world.bucket.list()])
    ran = world("ledger", "rebuild")
    assert ran.code == 64
    assert "i2v ledger join" in ran.err


def test_an_export_is_imported_and_goes_on(world: Any, tmp_path: Path) -> None:
    image = world.image()
    assert run_again(world, image).code == 0
    charged = world.operator.charges
    file = tmp_path / "all.jsonl"
    world("ledger", "export", str(file))
    refused = world("ledger", "import", str(file))
    assert refused.code == 64
    assert "holds requests already" in refused.err
    destroy(world)
    assert "1 requests, 1 submissions" in world("ledger", "import", str(file)).out
    assert run_again(world, image).json["status"] == "succeeded"
    assert run_again(world, world.image("new.jpg")).code == 0
    assert world.operator.charges == charged + 1


@pytest.mark.parametrize("line", ["{", '{"table": "requests"}', '{"table": "secrets"}', "[]"])
def test_a_file_that_is_no_export_is_refused_whole(world: Any, tmp_path: Path, line: str) -> None:
    destroy(world)
    file = tmp_path / "wrong.jsonl"
    file.write_text(f"\n{line}\n")
    ran = world("ledger", "import", str(file))
    assert ran.code != 0
    assert "Line 2" in ran.err
    with world.session() as (ledger, _):
        assert ledger.list() == ()


def test_doctor_and_status_name_the_ledger(world: Any) -> None:
    place = str(world.folder / "data" / "ledger.sqlite")
    assert place in world("status").err.replace("\n", "")
    assert place in world("doctor", "--json").out


def test_a_restored_ledger_pays_nothing_again_by_the_procedure_of_the_guide(
    world: Any, postgres_server: Any, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/deploy.md, Backup: approved before the backup, made after it, restored, checked, started."""
    monkeypatch.setenv("I2V_LEDGER_URL", postgres_url)
    monkeypatch.setenv("I2V_REQUIRE_APPROVAL", "true")
    clips = [f"clip-{number}" for number in range(6)]
    for clip in clips:
        world.upload(f"{clip}.jpg", world.image(f"{clip}.jpg").read_bytes())
    world.make(*clips)
    approve(world)
    backup = copy_of(postgres_server, postgres_url)
    world.make(*clips[:3])
    charged = world.operator.charges
    monkeypatch.setenv("I2V_LEDGER_URL", backup)
    told = world("ledger", "restored", "--json").json
    assert {line["clip"] for line in told["light"]} == set(clips[:3])
    assert told["approvals"] == 3
    world.make(*clips)
    assert world.operator.charges == charged
    with Ledger.open(backup) as ledger:
        assert {row.clip for row in ledger.list((State.SUCCEEDED,))} == set(clips[:3])
    approve(world)
    world.make(*clips)
    assert world.operator.charges == charged + 3


def approve(world: Any) -> None:
    """What a person types for all clips that wait."""
    assert world("approve", world("plan", "--json").json["plan_hash"]).code == 0


def copy_of(server: Any, url: str) -> str:
    """Another database of the same content: what a backup restores."""
    import psycopg
    from psycopg import sql

    name = url.rpartition("/")[2]
    copy = f"{name}_backup"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(copy), sql.Identifier(name)))
    return f"{url.rpartition('/')[0]}/{copy}"
