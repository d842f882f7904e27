"""The spend report matches the ledger after real runs: paid, failed, refused, and delivered without paying again."""

import csv
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from resources.ledger.ledger import Ledger
from resources.settings import load_settings


def _csv(world: Any, key: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(world.bucket.read(key).decode(), newline="")))


def test_the_report_matches_the_ledger(world: Any, samples: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("I2V_MEASURE", "false")
    monkeypatch.setenv("I2V_PREVIEWS", "false")
    world.put("uploads/_defaults.yaml", "resolution: 720p\nduration: 3\nprompt: Slow push in\n")
    world.put("uploads/pets/cat.jpg", samples / "pet.jpg")
    world.put("uploads/cup.webp", samples / "product.webp")
    world.tick("uploads")
    world.put("uploads/pets/same.jpg", samples / "pet.jpg")  # the same picture under another name
    world.tick("uploads")
    settings = load_settings()
    with Ledger.open(settings.ledger_address) as ledger:
        rows = ledger.list(service="sandbox")
        assert len(rows) == 2
        paid = {row.clip: row.cost_microdollars or 0 for row in rows}
        assert sum(len([e for e in ledger.events(row.fingerprint) if e.what == "reused"]) for row in rows) == 1

    world.run("spend_job")
    told = world.metadata("spend")
    assert told["requests"] == 2
    assert round(told["settled_usd"] * 1e6) == sum(paid.values()) > 0
    assert round(told["saved_usd"] * 1e6) == paid["pets--cat"]
    assert told["wasted_usd"] == told["open_usd"] == told["refused_usd"] == 0
    lines = _csv(world, "spend/all.csv")
    assert {line["folder"] for line in lines} == {"(top)", "pets"}
    assert sum(float(line["settled_usd"]) for line in lines) * 1e6 == sum(paid.values())
    assert told["chart"] == "spend/chart.svg"
    chart = ElementTree.fromstring(world.bucket.read(told["chart"]))
    assert f"settled ${told['settled_usd']:,.2f}" in chart.findtext("{*}desc", "")
    assert world.bucket.head(told["chart"]).content_type == "image/svg+xml"
    assert _csv(world, f"spend/{lines[0]['day']}.csv") == lines

    world.tick("uploads")  # told again, saved nothing
    world.run("make_clips_job", partition_key="pets--same")
    world.run("spend_job")
    assert world.metadata("spend")["saved_usd"] == told["saved_usd"]


def test_money_is_summed_by_the_folder_that_holds_the_upload(world: Any, samples: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("I2V_MEASURE", "false")
    monkeypatch.setenv("I2V_PREVIEWS", "false")
    brief = "resolution: 720p\nduration: 3\nprompt: Slow push in\nimages: a.png\n"
    world.put("uploads/odd--name.webp", samples / "product.webp")
    world.put("uploads/spring/pets/cat.jpg", samples / "pet.jpg")
    world.put("uploads/spring/hello/brief.yaml", f"{brief}dub: {{en: en.wav}}\n")
    world.put("uploads/spring/hello/en.wav", samples / "voiceover-de.wav")
    world.put("uploads/spring/hello/a.png", samples / "portrait.png")
    world.put("sequences/voyage.yaml", "defaults: {resolution: 720p, duration: 3}\nimage: a.jpg\nshots: [It moves on]")
    world.put("sequences/a.jpg", samples / "environment.jpg")
    world.tick("uploads")
    world.tick("sequences")
    world.run("spend_job")
    lines = _csv(world, "spend/all.csv")
    assert sorted((line["folder"], line["requests"]) for line in lines) == [
        ("(top)", "1"),
        ("sequences/voyage", "1"),
        ("spring", "1"),
        ("spring/pets", "1"),
    ]
