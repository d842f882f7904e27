"""The sandbox itself: it accepts, times, renders and stores requests. The routes are a thin layer over it."""

import asyncio
import bisect
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resources.sandbox.catalogue import Catalogue
from resources.sandbox.config import SandboxConfig
from resources.sandbox.drawing.job import MediaFolder
from resources.sandbox.faults import VIDEO_KINDS, Fault, FaultQueue, Kind, QueuedFault, Where
from resources.sandbox.fetching import Fetcher
from resources.sandbox.generation import Generation, State, generation_seconds
from resources.sandbox.intake import Intake, take_in
from resources.sandbox.logins import Logins
from resources.sandbox.prices import Bill, BilledWork, PriceRules, bill
from resources.sandbox.renders import RenderFailed, Renders, RenderStopped
from resources.sandbox.state import StateFile
from resources.sandbox.switches import Switches
from resources.schemas.endpoints import Endpoint, LiveEndpoint

DEFAULT_FAILURE = "The generation failed: the output did not pass the content check."


class Sandbox:
    """The state and actions behind the routes; lives on one event loop.

    Args:
        config: The options.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.media = MediaFolder(config.data / "media")
        self.outputs = config.data / "outputs"
        self._file = StateFile(config.data / "sandbox.sqlite")
        self.switches = Switches.model_validate(self._file.setting("switches") or {})
        self.faults = FaultQueue(
            config.seed,
            [
                QueuedFault(Fault.model_validate(entry["fault"]), entry["left"], entry["hit"])
                for entry in self._file.setting("faults") or []
            ],
        )
        stored = self._file.setting("prices") or {}
        self.prices = PriceRules.model_validate(stored.get("rules") or {})
        self._priced_since: float = stored.get("since") or time.time()
        self._priced_before: int = stored.get("before") or 0
        self.catalogue = Catalogue(config, self._file.setting("catalogue") or {})
        balance = self._file.setting("opening_balance")
        self.opening_balance: int = round(config.balance * 1_000_000) if balance is None else balance
        self.logins = Logins()
        self.requests: dict[str, Generation] = {}
        self._repetitions: Counter[str] = Counter()
        self._starts: list[float] = []
        self._charged = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._refunded = 0
        self._fetcher = Fetcher(self.media)
        self._renders = Renders(self.media)

    # Start and stop

    async def open(self) -> None:
        """Resume the work of an earlier process."""
        for generation in self._file.load():
            self._remember(generation)
            self._begin_at_start(generation)

    async def close(self) -> None:
        """Stop rendering and close the state; unfinished work continues at the next start."""
        for task in self._tasks:
            task.cancel()
        self._renders.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._fetcher.close()
        self._file.close()

    # Requests

    async def submit(
        self, endpoint: Endpoint | LiveEndpoint, raw: object, account: str, mark: Fault | None
    ) -> Generation:
        """Validate a body, fetch its media, accept the request and charge it.

        Args:
            endpoint: The model.
            raw: The parsed JSON body.
            account: The account that pays.
            mark: A fault that the request carries from now on.

        Raises:
            WireError: 422; nothing was accepted.
        """
        intake = await take_in(
            endpoint,
            raw,
            fetcher=self._fetcher,
            folder=self.media,
            next_fault=lambda: self.take_fault(Where.FETCH_INPUT, endpoint.model_id),
        )
        generation = self._accept(endpoint.model_id, intake, account)
        if mark is not None:
            self.mark(generation, mark, save=False)
        self._remember(generation)
        self._file.save(generation)
        self._begin_at_start(generation)
        return generation

    def _accept(self, model_id: str, intake: Intake, account: str) -> Generation:
        created, number = time.time(), len(self.requests) + 1
        cost = self._bill(model_id, intake, number, created)
        seconds = generation_seconds(self.config, intake.input_sha256, self._repetitions[intake.input_sha256])
        return Generation(
            request_id=str(uuid.uuid4()),
            number=number,
            account=account,
            model_id=model_id,
            body=intake.body,
            input_sha256=intake.input_sha256,
            price_microdollars=cost.microdollars,
            cost_delay_seconds=cost.delay,
            created_at=created,
            start_at=created + seconds * self.config.queue_share,
            ready_at=created + seconds,
            job=intake.job.scaled(self.config.scale),
            failure=intake.late_failure,
        )

    def _bill(self, model_id: str, intake: Intake, number: int, now: float) -> Bill:
        job = intake.job
        base = self.catalogue.price_microdollars(model_id, job.seconds, self.switches)
        work = BilledWork(
            model_id=model_id,
            resolution=job.resolution,
            seconds=job.seconds,
            sound="given" if job.audios else "on" if job.sound else "off",
            images=len(job.images),
            videos=len(job.videos),
            input_seconds=intake.input_seconds,
        )
        return bill(
            self.prices,
            base,
            base // max(job.seconds, 1),
            work,
            number=number - 1 - self._priced_before,
            age=now - self._priced_since,
            hour=datetime.fromtimestamp(now, UTC).hour,
        )

    def _remember(self, generation: Generation) -> None:
        self.requests[generation.request_id] = generation
        self._repetitions[generation.input_sha256] += 1
        if generation.cancelled_at is not None:
            self._refunded += generation.price_microdollars
        self._charged += generation.price_microdollars
        bisect.insort(self._starts, generation.start_at)

    def queue_position(self, generation: Generation, now: float) -> int:
        """Return how many requests leave the queue before this one, plus the switch's base."""
        ahead = bisect.bisect_left(self._starts, generation.start_at) - bisect.bisect_right(self._starts, now)
        return max(ahead, 0) + self.switches.queue_base

    def mark(self, generation: Generation, fault: Fault, *, save: bool = True) -> None:
        """Let a request carry a fault to its end."""
        if fault.kind is Kind.FAILED_RESULT:
            generation.failure = fault.message or DEFAULT_FAILURE
        elif fault.kind is Kind.WRONG_COST:
            generation.told_cost_usd = fault.cost_usd
        else:
            generation.mark = fault.kind
            if fault.kind is Kind.HOSTILE_URL:
                generation.hostile_url = fault.url or "https://files.runcomfy.net.evil.example/video.mp4"
        if save:
            self._file.save(generation)

    def cancel(self, generation: Generation) -> bool:
        """Cancel a request in the queue; return False if it has left the queue."""
        if generation.state(time.time()) is not State.IN_QUEUE:
            return False
        generation.cancelled_at = time.time()
        self._file.save(generation)
        self._refunded += generation.price_microdollars
        return True

    # Videos

    def video_path(self, generation: Generation) -> Path:
        """Return the file of the request's output, which may not be rendered yet."""
        defect = generation.mark if generation.mark in VIDEO_KINDS else None
        if self.config.render == "cached":
            return self.outputs / "cached" / generation.job.cache_name(defect)
        return self.outputs / f"{generation.request_id}{f'.{defect}' if defect else ''}.mp4"

    async def video(self, generation: Generation) -> Path:
        """Return the request's video; render it now if a fault needs another one than was made.

        Raises:
            RenderFailed: the media cannot be drawn.
            RenderStopped: the sandbox is stopping.
        """
        path = self.video_path(generation)
        defect = generation.mark if generation.mark in VIDEO_KINDS else None
        await self._renders.ensure(generation.job, defect, path)
        return path

    def _begin_at_start(self, generation: Generation) -> None:
        if not generation.needs_video:
            return
        if self.video_path(generation).exists():
            self._rendered(generation, time.time())
        else:
            delay = max(generation.start_at - time.time(), 0)
            asyncio.get_running_loop().call_later(delay, self._begin, generation)

    def _begin(self, generation: Generation) -> None:
        if generation.needs_video:
            task = asyncio.create_task(self._make(generation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _make(self, generation: Generation) -> None:
        try:
            await self.video(generation)
        except RenderStopped:
            return  # the next start renders it
        except RenderFailed as error:
            generation.failure = str(error)
            self._file.save(generation)
            return
        self._rendered(generation, time.time())

    def _rendered(self, generation: Generation, at: float) -> None:
        generation.rendered_at = at
        self._file.save(generation)

    # Operator

    def take_fault(
        self, where: Where, model_id: str | None = None, request_id: str | None = None, *, method: str = ""
    ) -> Fault | None:
        """Return the fault that hits this call, if any, and store its count. A HEAD does not use the fault up."""
        if method == "HEAD":
            return None
        fault = self.faults.take(where, model_id=model_id, request_id=request_id)
        if fault is not None:
            self.store_faults()
        return fault

    def store_faults(self) -> None:
        """Store the queue of faults."""
        self._file.store_setting(
            "faults",
            [
                {"fault": entry.fault.model_dump(mode="json"), "left": entry.left, "hit": entry.hit}
                for entry in self.faults.queued
            ],
        )

    def set_switches(self, switches: Switches) -> None:
        """Replace the switches."""
        self.switches = switches
        self._file.store_setting("switches", switches.model_dump(mode="json"))

    def set_prices(self, rules: PriceRules) -> None:
        """Replace the hidden price rules; requests that were accepted keep their cost."""
        self.prices, self._priced_since, self._priced_before = rules, time.time(), len(self.requests)
        stored = {"rules": rules.model_dump(mode="json"), "since": self._priced_since, "before": self._priced_before}
        self._file.store_setting("prices", stored)

    def set_catalogue_changes(self, changes: dict[str, Any]) -> None:
        """Change catalogue entries (JSON merge patches by model id)."""
        self.catalogue = Catalogue(self.config, changes)
        self._file.store_setting("catalogue", changes)

    def set_balance(self, microdollars: int) -> None:
        """Set the account's current balance."""
        self.opening_balance = microdollars + self._charged - self.refunded
        self._file.store_setting("opening_balance", self.opening_balance)

    @property
    def refunded(self) -> int:
        """Return the micro-dollars refunded for cancelled requests, and for failed ones if they are free."""
        if self.switches.charge_failed:
            return self._refunded
        return sum(item.price_microdollars for item in self.requests.values() if self.is_refunded(item))

    def is_refunded(self, generation: Generation) -> bool:
        """Return True if the charge was refunded."""
        if generation.cancelled_at is not None:
            return True
        return not self.switches.charge_failed and generation.state(time.time()) is State.FAILED

    @property
    def balance(self) -> int:
        """Return the account's balance in micro-dollars."""
        return self.opening_balance - self._charged + self.refunded
