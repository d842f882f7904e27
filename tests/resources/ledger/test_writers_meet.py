"""Two processes that remember the same at once: on Postgres a DELETE before the INSERT would let them collide."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from resources.ledger.database import Database
from resources.registry.agreed_prices import CatalogueMemory
from resources.registry.registry import RefusedRow, Registry

WRITERS = 4
ROUNDS = 10


def test_writers_of_the_same_row_do_not_collide(postgres_url: str) -> None:
    database = Database.open(postgres_url)
    registry, memory = Registry(database), CatalogueMemory(database)
    offer = {"model_id": "a/b", "price_microdollars": 1, "price_unit": "second", "differences": (), "by": "first sight"}
    writes: tuple[Callable[[int], object], ...] = (
        lambda number: memory.agree("sandbox", f"family-{number}", **offer),  # type: ignore[arg-type]
        lambda number: registry.memory.remember_facts(f"uploads/{number}.jpg", "etag", {"width": 1}),
        lambda number: registry.memory.remember_texts({f"{key}-{number}": ("etag", "text") for key in "ba"}),
        lambda number: registry.refusals.replace(
            [RefusedRow(f"uploads/{number}.gif", "version", "", "")], covers=lambda _: False
        ),
    )
    barrier = Barrier(WRITERS)

    def work() -> None:
        for number in range(ROUNDS):
            for write in writes:
                barrier.wait(30)
                write(number)

    try:
        with ThreadPoolExecutor(WRITERS) as pool:
            for worker in [pool.submit(work) for _ in range(WRITERS)]:
                worker.result()
        assert len(memory.agreed("sandbox")) == ROUNDS
        assert registry.memory.facts("uploads/3.jpg", "etag") == {"width": 1}
        assert registry.memory.texts()["a-3"] == ("etag", "text")
    finally:
        database.close()
