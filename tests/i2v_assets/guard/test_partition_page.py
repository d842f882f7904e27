"""The script of a partition's page, as each webserver serves it, and what happens with a release that has another one."""

import logging
from pathlib import Path

import pytest
from guard_site import Site

from i2v_assets.partition_page import NOT_MADE, QUERY, dagster_scripts, page_scripts, with_observations

FOLDER = "/_next/static/chunks"


def page_script() -> Path:
    """Return Dagster's own script of the page."""
    folder = dagster_scripts()
    assert folder is not None
    (script,) = [file for file in folder.glob("*.js") if QUERY in file.read_text()]
    return script


@pytest.mark.parametrize("name", ["guarded", "proxy"])
def test_the_page_s_script_shows_observations_and_is_asked_for_once(sites: dict[str, Site], name: str) -> None:
    script = page_script()
    address = f"{FOLDER}/{script.name}"
    answer = sites[name].call("GET", address)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.body.decode() == with_observations(script.read_text())
    assert answer.body.decode().count(f'"{NOT_MADE}"') == 1

    again = sites[name].call("GET", address, f"If-None-Match: {answer.headers['etag']}")
    assert (again.status, again.body) == (304, b"")
    own = sites["bare"].call("GET", address)
    assert own.body == script.read_bytes()
    stale = sites[name].call("GET", address, f"If-None-Match: {own.headers['etag']}")
    assert stale.body == answer.body, "what a browser kept of Dagster's own is replaced"


@pytest.mark.parametrize("name", ["guarded", "proxy"])
def test_every_other_script_is_dagster_s_own(sites: dict[str, Site], name: str) -> None:
    mine = page_script()
    other = next(file for file in sorted(mine.parent.glob("*.js")) if file != mine)
    assert sites[name].call("GET", f"{FOLDER}/{other.name}").body == other.read_bytes()


@pytest.mark.parametrize("lost", ["latestMaterialization:null!=", 'children:"Materialized"}):void 0'])
def test_a_release_with_another_script_keeps_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: str
) -> None:
    script = page_script()
    text = script.read_text()
    assert lost in text
    (tmp_path / script.name).write_text(text.replace(lost, "another"))
    with caplog.at_level(logging.WARNING):
        assert page_scripts(tmp_path) == {}
    assert "View all historical events" in caplog.text
    assert page_scripts(None) == {}
