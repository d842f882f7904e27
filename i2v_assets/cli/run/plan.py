"""Plan one generation of `i2v run` with the pipeline's planner, and raise whatever is in its way before it is paid."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from i2v_assets.briefs.brief import Brief
from i2v_assets.cli.exit_codes import DataProblem, TryLater, UsageProblem
from i2v_assets.cli.run.inputs import RunInput, Target, check_media
from i2v_assets.cli.run.media import display_names, store_media
from i2v_assets.operations.preview import open_planner
from i2v_assets.pipeline.read_media import MediaReader, ReadFile
from i2v_assets.planning.plan import Plan, PlanOffer, PlanOptions, Refusal, Waiting
from i2v_assets.planning.planner import wanted_families
from i2v_assets.session import Session
from resources.schemas.endpoints import ENDPOINTS, LiveEndpoint
from resources.schemas.families import FAMILIES
from resources.schemas.inputs import Family, MediumKind
from resources.schemas.live_schema import LiveSchema

CLIP = ":run"
"""The ledger's name for generations that belong to no clip. No upload's slug can be it, so a command about a clip is never
about every run. Rows of earlier versions keep their old name, `cli`: the ledger is not rewritten."""


def plan_run(session: Session, target: Target, asked: RunInput, scratch: Path) -> Plan:
    """Return the plan of one generation. Its media are in the bucket then.

    Raises:
        DataProblem: the inputs do not fit; UsageProblem: the id does not answer; TryLater: it has to wait.
    """
    record = FAMILIES.get(target.family or "")
    faceless = record is not None and record.limits is not None and not record.limits.images.max_count
    if faceless and any(source.kind is MediumKind.IMAGE for source in asked.media):
        raise DataProblem(
            f"{target.model_id} takes no image: the person on it would not appear.",
            remedy="Run wan-ai/wan-2.7/image-to-video or lip_sync, or leave the image out.",
        )
    if target.route is None:
        asked = asked.with_schema(asyncio.run(_schema(session, target)))
    names = display_names(asked.media)
    brief = asked.brief(target, names)
    reader = MediaReader(session.bucket, session.registry, scratch)
    files = store_media(asked.media, names, session.bucket, reader, scratch, session.settings.service)
    if all(file.medium is not None for file in files):
        check_media(target, asked.media)
    decided, offers = asyncio.run(_decide(session, scratch, brief, files))
    if isinstance(decided, Refusal):
        text = " ".join(f"{problem.what} {problem.limit}".strip() for problem in decided.problems)
        remedies = dict.fromkeys(problem.remedy for problem in decided.problems if problem.remedy)
        raise DataProblem(text, remedy=in_the_shell(" ".join(remedies)))
    if isinstance(decided, Waiting):
        # A named id that does not answer is a wrong argument, even if a clip would wait for the one that keeps the face.
        if target.family is not None and offers.get(target.family, True) is None:
            raise UsageProblem(f"The service has no {target.model_id} now.", remedy="`i2v models` shows what answers.")
        raise TryLater(decided.words, remedy=decided.remedy)
    if target.family is not None and decided.family != target.family:
        raise DataProblem(
            f"These inputs are for {decided.family}, not for {target.model_id}.", remedy="Compare with `i2v models`."
        )
    if decided.pieces:
        raise _too_long(decided)
    return decided


def _too_long(plan: Plan) -> DataProblem:
    """Return why a voice that needs several requests is not run: one request would cut it, and be paid for."""
    seconds = plan.pieces[-1].span_ms[1] / 1000 if plan.pieces[-1].span_ms else plan.inputs.duration
    return DataProblem(
        f"The voice has {seconds:.1f} s, which takes {len(plan.pieces)} requests of {plan.family}, and `i2v run` makes one."
        " Nothing was sent.",
        remedy="For the whole voice, put the files into a folder with a brief.yaml that says `voice: split`, and run: i2v"
        ' upload FOLDER. For one request that cuts the voice, add "voice": "cut" to --input.',
    )


async def _schema(session: Session, target: Target) -> LiveSchema:
    async with session.open_service() as service:
        live = await service.offers.live(target.family or "")
    if live.unusable is not None:
        raise live.unusable
    if live.offer is None or not isinstance(live.offer.endpoint, LiveEndpoint):
        known = "\n".join(f"    {model_id}" for model_id in ENDPOINTS)
        raise UsageProblem(
            f"The service has no {target.model_id} now.",
            remedy=f"`i2v models` shows what answers. Ids whose inputs are known without asking:\n{known}",
        )
    return live.offer.endpoint.schema


async def _decide(
    session: Session, scratch: Path, brief: Brief, files: Sequence[ReadFile]
) -> tuple[Plan | Refusal | Waiting, Mapping[Family, PlanOffer | None]]:
    async with open_planner(session, scratch) as opened:
        decided = await opened.planner.decide(CLIP, brief, files, name=files[0].name if files else CLIP)
        offers = await opened.offers(wanted_families(brief, PlanOptions(session.settings.service)))
        if isinstance(decided, Plan) and decided.family not in offers:
            await opened.service.offers.live(decided.family)  # a catalogue that does not answer raises its own error
        return decided, offers


def in_the_shell(remedy: str) -> str:
    """Return what to do for a person who gives files and does not upload them."""
    return remedy.replace("Upload ", "Give ").replace("upload ", "give ")
