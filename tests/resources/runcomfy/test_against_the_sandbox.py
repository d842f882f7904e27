"""The client, the resource and the login against the stand-in over real HTTP."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from resources.dagster_resources import BucketResource, LedgerResource
from resources.devservers.start import SANDBOX_TOKEN, RunningSandbox, environment, start_sandbox
from resources.errors import SettingsError
from resources.runcomfy.catalogue import Catalogue, differences
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.errors import (
    DisallowedHost,
    DownloadFailed,
    InsufficientBalance,
    InvalidInput,
    MissingToken,
    OutcomeUnknown,
    OutputGone,
    RateLimited,
    Rejected,
    RequestGone,
    ServiceError,
    ServiceUnavailable,
    Truncated,
    Unauthorized,
    UnknownModel,
)
from resources.runcomfy.login import login
from resources.runcomfy.resource import RunComfyResource
from resources.runcomfy.wire import CancelOutcome, RequestState, ResultAnswer
from resources.schemas.endpoints import ENDPOINTS, ids_for, to_body
from resources.schemas.families import default_families
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.families.wan_2_7_text import NAME as WAN_T2V
from resources.schemas.inputs import GenerationInputs, Medium, MediumKind
from resources.settings import Settings, variable_name


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    options = {
        "generation_seconds": 0.1,
        "generation_spread": 0,
        "render": "cached",
        "seed": 1,
        "price_per_second": 0.2,
    }
    with start_sandbox(folder, **options) as running:
        yield running


@pytest.fixture(autouse=True)
def _calm(stand_in: RunningSandbox) -> Iterator[None]:
    yield
    end_faults(stand_in)


def end_faults(running: RunningSandbox) -> None:
    httpx.delete(f"{running.url}/_sandbox/faults").raise_for_status()


def open_client(kit: Any, running: RunningSandbox, **changes: Any) -> RunComfyClient:
    client: RunComfyClient = kit.client(running.url, **changes)
    return client


def fault(running: RunningSandbox, where: str, kind: str, times: int = 9, **more: object) -> None:
    answer = httpx.post(f"{running.url}/_sandbox/faults", json={"where": where, "kind": kind, "times": times, **more})
    assert answer.is_success, answer.text


def charges(running: RunningSandbox) -> int:
    return int(httpx.get(f"{running.url}/_sandbox/charges").json()["count"])


@pytest.fixture
def make_body(samples: Path) -> Callable[[str], dict[str, object]]:
    """Builds the body of an id from the samples, as data URIs."""
    image = samples / "pet.jpg"
    sound = samples / "voiceover-en.mp3"

    def medium(kind: MediumKind) -> Medium:
        path = image if kind is MediumKind.IMAGE else sound
        content_type = "image/jpeg" if kind is MediumKind.IMAGE else "audio/mpeg"
        return Medium(
            kind=kind, sha256="a" * 64, key=str(path), size_bytes=path.stat().st_size, content_type=content_type
        )

    def url_of(one: Medium) -> str:
        return f"data:{one.content_type};base64,{base64.b64encode(Path(one.key).read_bytes()).decode()}"

    def build(model_id: str) -> dict[str, object]:
        endpoint = ENDPOINTS[model_id]
        family = endpoint.family
        inputs = GenerationInputs(
            family=family,
            prompt="Push in slowly, identity-stable features.",
            images=() if family is WAN_T2V else (medium(MediumKind.IMAGE),),
            audios=() if family is HAPPYHORSE_I2V else (medium(MediumKind.AUDIO),),
            duration=4,
            resolution="720p",
            seed=3,
            watermark=False if family is HAPPYHORSE_I2V else None,
        )
        return to_body(endpoint, inputs, url_of)

    return build


HORSE = ids_for(HAPPYHORSE_I2V)[0]


async def poll(client: RunComfyClient, request_id: str, seconds: float) -> ResultAnswer:
    """The request's end; a question that is not answered is asked again."""
    async with asyncio.timeout(seconds):
        while True:
            with suppress(ServiceUnavailable, RateLimited):
                answer = await client.result(request_id)
                if answer.state.over:
                    return answer
            await asyncio.sleep(0.2)


def test_every_id_is_in_the_catalogue_as_the_code_knows_it(kit: Any, stand_in: RunningSandbox) -> None:
    async def scenario() -> None:
        async with open_client(kit, stand_in) as client:
            for model_id, endpoint in ENDPOINTS.items():
                entry = await client.model(model_id)
                assert (entry.model_id, entry.price_unit) == (model_id, "second")
                assert differences(endpoint, entry) == ()

    kit.run(scenario())


def test_each_family_makes_a_video_and_reports_its_cost(
    kit: Any, stand_in: RunningSandbox, make_body: Any, tmp_path: Path
) -> None:
    sizes: dict[Path, int] = {}

    async def make(client: RunComfyClient, model_id: str, path: Path) -> None:
        request_id = (await client.submit(model_id, make_body(model_id))).request_id
        answer = await poll(client, request_id, 120)
        assert answer.state is RequestState.SUCCEEDED
        assert answer.cost_microdollars == 800_000
        assert (await client.status(request_id)).state is RequestState.ENDED
        got = await client.download(answer.output_urls[0], path)
        sizes[path] = got.size_bytes

    async def scenario() -> None:
        last_ids = [ids_for(family)[-1] for family in default_families()]
        async with open_client(kit, stand_in) as client:
            await asyncio.gather(*(make(client, one, tmp_path / f"{n}.mp4") for n, one in enumerate(last_ids)))

    kit.run(scenario())
    assert len(sizes) == len(default_families())
    for path, size in sizes.items():
        assert path.stat().st_size == size > 10_000
        assert b"ftyp" in path.read_bytes()[:16]


@pytest.mark.parametrize(
    ("kind", "error", "charged"),
    [
        ("http_401", Unauthorized, 0), ("http_402", InsufficientBalance, 0), ("http_404", UnknownModel, 0), ("http_422", InvalidInput, 0),
        ("http_429", RateLimited, 0), ("http_500", OutcomeUnknown, 0), ("http_503", OutcomeUnknown, 0), ("garbage", OutcomeUnknown, None),
        ("disconnect_before", OutcomeUnknown, 0), ("disconnect_after", OutcomeUnknown, 1), ("error_200", ServiceError, 0), ("timeout", OutcomeUnknown, None),
    ],
)  # fmt: skip
def test_a_failed_submit_raises_what_it_proves_and_is_sent_once(
    kit: Any, stand_in: RunningSandbox, make_body: Any, kind: str, error: type[ServiceError], charged: int | None
) -> None:
    before = charges(stand_in)
    fault(stand_in, "submit", kind, times=1)

    async def scenario() -> None:
        async with open_client(kit, stand_in, timeouts=kit.timeouts(submit_read=1.0)) as client:
            with pytest.raises(error):
                await client.submit(HORSE, make_body(HORSE))

    kit.run(scenario())
    made = charges(stand_in) - before
    assert made == charged if charged is not None else made <= 1


@pytest.mark.parametrize(
    "kind", ["http_429", "http_500", "http_503", "garbage", "disconnect_before", "disconnect_after"]
)
@pytest.mark.parametrize("where", ["models", "balance"])
def test_a_failed_read_call_is_retried(kit: Any, stand_in: RunningSandbox, where: str, kind: str) -> None:
    fault(stand_in, where, kind, times=1)

    async def scenario() -> object:
        async with open_client(kit, stand_in) as client:
            return await (client.balance() if where == "balance" else client.model(HORSE))

    assert kit.run(scenario())


@pytest.mark.parametrize("kind", ["http_401", "http_404", "error_200", "http_500"])
def test_a_failed_poll_is_an_error_and_never_a_result(
    kit: Any, stand_in: RunningSandbox, make_body: Any, kind: str
) -> None:
    async def scenario() -> None:
        async with open_client(kit, stand_in) as client:
            request_id = (await client.submit(HORSE, make_body(HORSE))).request_id
            fault(stand_in, "result", kind)
            with pytest.raises((Rejected, ServiceUnavailable)):
                await client.result(request_id)
            end_faults(stand_in)
            assert (await poll(client, request_id, 60)).state is RequestState.SUCCEEDED

    kit.run(scenario())


@pytest.mark.parametrize(
    ("kind", "error"),
    [("hostile_url", DisallowedHost), ("truncated", Truncated), ("http_404", OutputGone), ("http_500", DownloadFailed)],
)
def test_a_fault_of_a_download_leaves_no_file(
    kit: Any, stand_in: RunningSandbox, make_body: Any, tmp_path: Path, kind: str, error: type[ServiceError]
) -> None:
    where = "result" if kind == "hostile_url" else "download"

    async def scenario() -> None:
        async with open_client(kit, stand_in) as client:
            client._downloader._first_wait = 0.01  # type: ignore[union-attr]
            request_id = (await client.submit(HORSE, make_body(HORSE))).request_id
            await poll(client, request_id, 60)
            fault(stand_in, where, kind)
            answer = await client.result(request_id)
            with pytest.raises(error):
                await client.download(answer.output_urls[0], tmp_path / "v.mp4")

    kit.run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_request_is_not_found_and_an_ended_one_is_not_cancellable(
    kit: Any, stand_in: RunningSandbox, make_body: Any
) -> None:
    async def scenario() -> None:
        async with open_client(kit, stand_in) as client:
            with pytest.raises(RequestGone):
                await client.status("nobody-knows-me")
            request_id = (await client.submit(HORSE, make_body(HORSE))).request_id
            await poll(client, request_id, 60)
            assert await client.cancel(request_id) is CancelOutcome.NOT_CANCELLABLE
            assert (await client.balance()).microdollars > 0
            assert len((await client.models(include_schema=True)).models) >= len(ENDPOINTS)

    kit.run(scenario())


def test_a_body_that_the_model_refuses_is_refused_and_free(kit: Any, stand_in: RunningSandbox, make_body: Any) -> None:
    before = charges(stand_in)

    async def scenario() -> None:
        async with open_client(kit, stand_in) as client:
            with pytest.raises(InvalidInput, match="duration"):
                await client.submit(HORSE, {**make_body(HORSE), "duration": 16})

    kit.run(scenario())
    assert charges(stand_in) == before


def test_the_catalogue_falls_back_to_the_other_generation(kit: Any, stand_in: RunningSandbox) -> None:
    documented, catalogue_id = ids_for(SEEDANCE_PRO)
    fault(stand_in, "models", "http_404", model_id=documented)

    async def scenario() -> str:
        async with open_client(kit, stand_in) as client:
            return (await Catalogue(client, {}, 300).resolve(SEEDANCE_PRO)).endpoint.model_id

    assert kit.run(scenario()) == catalogue_id


def test_a_login_gives_a_token_that_works(kit: Any, stand_in: RunningSandbox) -> None:
    import anyio.to_thread

    def approve(code: str) -> None:
        httpx.put(f"{stand_in.url}/_sandbox/switches", json={"login_auto_approve": True}).raise_for_status()
        assert code

    async def scenario() -> str:
        codes: list[str] = []
        await anyio.to_thread.run_sync(approve, "before the poll")
        token = await login(stand_in.url, service="sandbox", show=lambda prompt: codes.append(prompt.user_code))
        assert codes
        async with open_client(kit, stand_in, token=token) as client:
            return (await client.account()).user_id

    assert kit.run(scenario())


@pytest.fixture
def _env(stand_in: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_name(name), raising=False)
    for name, value in environment(sandbox=stand_in, data_dir=tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RUNCOMFY_CONFIG_DIR", str(tmp_path / "nobody"))


@pytest.mark.usefixtures("_env")
def test_the_resource_holds_no_secret_and_reports_a_missing_token(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = RunComfyResource()
    shown = repr(resource) + str(RunComfyResource.to_config_schema()) + resource.model_dump_json()
    assert SANDBOX_TOKEN not in shown
    monkeypatch.delenv("RUNCOMFY_TOKEN")
    with pytest.raises(MissingToken):
        resource.check_auth()
    with pytest.raises(MissingToken):
        resource.client()


@pytest.mark.parametrize("field", ["api_base", "balance_base", "web_base", "token", "bucket"])
def test_nothing_can_be_given_to_the_resources(field: str) -> None:
    for kind in (RunComfyResource, BucketResource, LedgerResource):
        with pytest.raises(SettingsError, match=field):
            kind(**{field: "http://127.0.0.1:9/v1"})
    assert not RunComfyResource.to_config_schema().as_field().config_type.fields


def test_the_token_is_hidden_wherever_a_client_is_shown(kit: Any, stand_in: RunningSandbox) -> None:
    client = open_client(kit, stand_in, token=SecretStr("very-secret"))
    assert "very-secret" not in repr(client) + str(vars(client))
