"""The result of `i2v run`: the fields that are printed, and the video with its manifest in a folder."""

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from i2v_assets.cli.console import err, out
from i2v_assets.cli.exit_codes import Exit
from i2v_assets.cli.run.plan import CLIP, in_the_shell
from i2v_assets.cli.run.progress import Course
from i2v_assets.clip_folder.manifest import media_of
from i2v_assets.pipeline.deliver import manifest_of
from i2v_assets.planning.plan import Plan
from i2v_assets.session import Session
from resources.errors import I2VError
from resources.generation.types import Cancelled, Delivered, Failed, Held
from resources.ledger.records import State
from resources.media.probe import video_size
from resources.money import dollars
from resources.wait_reason import WaitReason


def result_of(session: Session, plan: Plan, course: Course) -> dict[str, Any]:
    """Return the result as it is printed: money and ids from the ledger, the status from the outcome."""
    row = session.ledger.get(plan.fingerprint)
    result = {
        "status": "stopped",
        "request_id": row.request_id if row else None,
        "route": plan.route.value,
        "model_id": (row.model_id if row else None) or plan.model_id,
        "fingerprint": plan.fingerprint,
        "seed": plan.inputs.seed,
        "service": session.settings.service,
        "price_microdollars": row.price_microdollars if row else plan.at_most_microdollars,
        "cost_microdollars": row.cost_microdollars if row else None,
        "file": None,
        "manifest": None,
        "key": None,
    }
    untouched = row is None or (row.state is State.PLANNED and row.attempt == 1)
    return result | _status(course, untouched=untouched)


def _status(course: Course, *, untouched: bool) -> dict[str, Any]:
    """Return the fields that the outcome decides; ``untouched`` says that the ledger has no POST of this request."""
    outcome = course.outcome
    match outcome:
        case Delivered():
            video = {"key": outcome.video_key, "sha256": outcome.sha256, "size_bytes": outcome.size_bytes}
            return {"status": "succeeded", "paid_now": outcome.paid, **video}
        case Held() if course.submitted_only:
            return {"status": "submitted"}
        case Held(request_id=None) if course.refused:
            words = f"The service takes no more requests now: {course.refused}"
            return {"status": "held (service)", "reason": words, "remedy": "Run it again later."}
        case Held():
            remedy = in_the_shell(outcome.remedy)
            if outcome.request_id is not None and outcome.kind in (WaitReason.DEADLINE, WaitReason.STOPPED):
                remedy = "Run it again: it is fetched, and not paid for again."  # no schedule fetches it here
            return {"status": f"held ({outcome.kind})", "reason": outcome.reason, "remedy": remedy}
        case Cancelled():
            done = outcome.confirmed == "cancelled"
            remedy = "Run it again to make it after all." if done else "Run it again to fetch it when it is done."
            return {"status": "cancelled" if done else "stopped", "reason": outcome.reason, "remedy": remedy}
        case Failed():
            again = "" if outcome.final else " With --retry it is tried again."
            remedy = outcome.remedy.replace(f"`i2v retake {CLIP}` makes a new take.", "Another `seed` makes a new one.")
            for words in ("Materialize the clip to try it again.", f"`i2v retry {CLIP}` tries it once more."):
                remedy = remedy.replace(words, "").strip()
            return {"status": "failed", "reason": outcome.reason, "remedy": f"{remedy}{again}".strip()}
        case _ if untouched:
            words = "It was stopped before anything was sent; nothing was paid."
            return {"reason": words, "remedy": "Run it again."}
        case _:
            words = "It was stopped; a request may have been sent and charged."
            return {"reason": words, "remedy": "Run it again: what was sent is fetched and not paid for again."}


def save(session: Session, plan: Plan, course: Course, folder: Path, result: dict[str, Any]) -> Exit:
    """Save the video in the folder with its manifest beside it, add both to ``result``, and return the exit code.

    A video that cannot be fetched or written is not a success, though it is paid for and kept in the bucket.
    """
    row = session.ledger.get(plan.fingerprint)
    delivered = course.outcome
    if not isinstance(delivered, Delivered) or row is None:
        return Exit.TRY_LATER
    path = folder / f"{plan.route.value}-{plan.fingerprint[:12]}.mp4"
    manifest_path = path.with_suffix(".manifest.json")  # `i2v verify` looks for it there
    local = delivered.local_path
    try:
        folder.mkdir(parents=True, exist_ok=True)  # with --no-wait a video was not expected yet
        if local is not None and local.exists():
            partial = path.with_suffix(".part")
            shutil.copyfile(local, partial)
            partial.replace(path)
        else:
            session.bucket.download(delivered.video_key, path)
        manifest = manifest_of(
            session.settings.service,
            plan,
            row,
            delivered,
            media=media_of(plan.inputs),
            size=video_size(path),
            version=version("i2v-assets"),
        )
        manifest_path.write_bytes(manifest.to_json())
    except (OSError, I2VError) as error:
        words = error.message if isinstance(error, I2VError) else (error.strerror or type(error).__name__)
        result |= {
            "status": "not saved",
            "reason": f"The video is made and in the bucket ({delivered.video_key}), but could not be saved: {words}",
            "remedy": "Run it again: it is fetched and not paid for again.",
        }
        return Exit.TRY_LATER
    result |= {"file": str(path), "manifest": str(manifest_path)}
    return Exit.OK


def show(result: dict[str, Any]) -> None:
    """Print the one line that a script wants: the file, else the key, else the request."""
    if result["file"] or result["key"]:
        out.print(result["file"] or result["key"], markup=False, highlight=False)
        cost = result["price_microdollars"] if result["cost_microdollars"] is None else result["cost_microdollars"]
        paid = f"paid {dollars(cost)}" if result.get("paid_now") else "nothing paid now"
        play = ", play money of the sandbox" if result["service"] == "sandbox" and result.get("paid_now") else ""
        err.print(f"request {result['request_id']}, {paid}{play}", markup=False, highlight=False)
    elif result["status"] == "submitted":
        out.print(result["request_id"], markup=False, highlight=False)
        err.print("Submitted. Run the same again without --no-wait to fetch the video; it is not paid for again.")
