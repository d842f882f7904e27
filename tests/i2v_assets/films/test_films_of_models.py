"""A film whose shots name models of the catalogue that the code knows nothing of."""

import json
from typing import Any

from resources.ledger.ledger import Ledger
from resources.settings import load_settings

KLING, WAN = "kling/kling-3.0/pro/image-to-video", "wan-ai/wan-3.0/image-to-video"
FILM = f"""
image: cat.jpg
defaults: {{model: {KLING}, duration: 3}}
shots:
  - prompt: Slow push in
    inputs: {{cfg_scale: 0.3}}
  - prompt: The camera moves on
    model: wan-3.0
    resolution: 720p
  - It comes to rest
"""


def test_a_film_of_named_models_is_planned_refused_and_made(films: Any, world: Any, samples: Any) -> None:
    wrong = FILM.replace("cfg_scale: 0.3", "frame_rate: 24")
    world.put("sequences/cats.yaml", wrong)
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    films.until_still()
    assert "`inputs` sets `frame_rate`, and the model has no such field" in films.text("clips/cats--01/REFUSED.txt")
    assert "is missing 3 of 3 shots" in films.text("sequences/cats/WAITING.txt")
    assert films.paid() == {}, "a film that cannot be made is not paid in part"
    for waits in ("cats--02", "cats--03"):
        assert "Another shot of its film, cats--01, was refused." in films.text(f"clips/{waits}/WAITING.txt")
        assert "Nothing was paid yet." in films.text(f"clips/{waits}/WAITING.txt")
    assert world.tick("dispatch") == []
    world.put("sequences/cats.yaml", wrong.replace("moves on", "moves left"))
    assert films.until_still() == ["make_clips_job"]
    assert films.paid() == {}, "the shot that changed is made in a run of its own"

    world.put("sequences/cats.yaml", FILM)
    assert films.until_still() == ["make_clips_job"]
    (others,) = world.tick("dispatch")
    assert others.success
    assert films.until_still() == ["film_job"]
    assert films.paid() == {"cats--01": 1, "cats--02": 1, "cats--03": 1}
    plan = films.json("sequences/cats/plan.json")
    assert [shot["state"] for shot in plan["shots"]] == ["delivered"] * 3
    with Ledger.open(load_settings().ledger_address) as ledger:
        models = {row.clip: (row.family, row.model_id) for row in ledger.list()}
        bodies = {row.clip: json.loads(row.inputs_json)["body"] for row in ledger.list()}
    assert models == {"cats--01": (KLING, KLING), "cats--02": (WAN, WAN), "cats--03": (KLING, KLING)}
    shots = [films.json(f"clips/cats--0{number}/manifest.json") for number in (1, 2, 3)]
    assert [len(shot["schema_sha256"]) for shot in shots] == [64] * 3
    assert bodies["cats--01"]["cfg_scale"] == 0.3
    manifest = films.json("sequences/cats/manifest.json")
    assert [shot["clip"] for shot in manifest["shots"]] == ["cats--01", "cats--02", "cats--03"]
    assert manifest["video"]["seconds"] > 8
