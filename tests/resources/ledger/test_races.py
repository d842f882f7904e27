"""Real processes at once on one ledger."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps, NewRequest, State
from resources.ledger.tables import events, submissions

REQUESTS = 60
CAP = 40
PRICE = 1_000_001

MEET = """
import sys

def meet():
    print("ready", flush=True)
    sys.stdin.readline()
"""
"""The beginning of a racer: what it does before it calls `meet` is done by both before one of them goes on."""

RACER = (
    MEET
    + """from datetime import UTC
from resources.ledger.records import Caps, Claimed, NewRequest
from resources.ledger.ledger import Ledger
url, owner, requests, cap, price = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
ledger = Ledger.open(url)
caps = Caps(cap * price, 10**6, 10**12, 10**6, UTC)
won = []

def claim(number):
    name = f"{number:064x}"
    ledger.plan(NewRequest(name, "sandbox", "hero", 1, "f", "animate", 1, 5, "{}"))
    outcome = ledger.claim(name, owner=owner, run_id=owner, lease_seconds=600, price_microdollars=price, model_id="m",
                           caps=caps, max_in_flight=1000)
    if isinstance(outcome, Claimed):
        won.append(number)

claim(requests if owner == "a" else requests + 1)
meet()
for number in range(requests):
    claim(number)
print(*won)
"""
)


def race(script: str, url: str, *words: int) -> list[str]:
    """Run a script as two processes at once, each an owner of its own; return what they print after they have met."""
    with ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", script, url, owner, *map(str, words)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for owner in "ab"
        ]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n", racer.communicate()
        for racer in racers:
            assert racer.stdin is not None
            print(file=racer.stdin, flush=True)
        ended = [(*racer.communicate(timeout=120), racer.returncode) for racer in racers]
    assert [code for *_, code in ended] == [0, 0], ended
    return [out for out, *_ in ended]


def test_two_processes_cannot_pass_a_cap_together_and_claim_each_request_once(ledger_url):
    won = [[int(number) for number in out.split()] for out in race(RACER, ledger_url, REQUESTS, CAP, PRICE)]
    assert len(set(won[0]) | set(won[1])) == len(won[0]) + len(won[1]) == CAP
    with Ledger.open(ledger_url) as ledger:
        assert ledger.spent_today("sandbox").reserved_microdollars == CAP * PRICE
        assert len(ledger.list(states={State.SUBMITTING})) == CAP
        with ledger.engine.connect() as connection:
            assert len(connection.execute(submissions.select()).all()) == CAP
            planned = [event for event in connection.execute(events.select()) if event.what == "planned"]
        assert len(planned) == REQUESTS + 2


def test_threads_of_one_process_share_a_ledger(ledger_url):
    from datetime import UTC

    caps = Caps(10**12, 10, 10**12, 10**6, UTC)
    with Ledger.open(ledger_url) as ledger:

        def race(number: int) -> str:
            name = f"{number % 20:064x}"
            ledger.plan(NewRequest(name, "sandbox", "hero", 1, "f", "animate", 1, 5, "{}"))
            outcome = ledger.claim(
                name,
                owner=str(number),
                run_id=None,
                lease_seconds=600,
                price_microdollars=1,
                model_id="m",
                caps=caps,
                max_in_flight=100,
            )
            return type(outcome).__name__

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(race, range(60)))
        assert outcomes.count("Claimed") == 10
        assert set(outcomes) == {"Claimed", "AlreadyClaimed", "OverBudget"}


def test_a_claim_survives_the_death_of_its_process(ledger_url):
    dying = RACER.replace("print(*won)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    killed = subprocess.run(
        [sys.executable, "-c", dying, ledger_url, "alone", "5", "5", "1"],
        input="",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -9
    with Ledger.open(ledger_url) as ledger:
        assert len(ledger.list(states={State.SUBMITTING})) == 5


def test_the_cap_holds_whatever_isolation_the_server_has_as_its_default(postgres_url):
    with Ledger.open(postgres_url) as ledger, ledger.engine.begin() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        connection.exec_driver_sql(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'repeatable read'")
    won = [len(out.split()) for out in race(RACER, postgres_url, REQUESTS, CAP, PRICE)]
    assert sum(won) == CAP


AT_MOST, EXPECTED = 2_000_003, 1_000_001
PAYER = (
    MEET
    + """import random
from datetime import UTC
from resources.ledger.records import Caps, Claimed, NewRequest, OverBudget, QuotedPrice
from resources.ledger.ledger import Ledger
url, owner, cap, at_most, expected = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
ledger = Ledger.open(url)
caps = Caps(cap, 10**6, 10**12, 10**6, UTC)
dice = random.Random(owner)
under_way = []

def pay(number):
    name = f"{owner}{number:063x}"
    ledger.plan(NewRequest(name, "sandbox", "hero", 1, "f", "animate", 1, 5, "{}"))
    outcome = ledger.claim(name, owner=owner, run_id=owner, lease_seconds=600, price_microdollars=at_most, model_id="m",
                           caps=caps, max_in_flight=1000, quoted=QuotedPrice("key", expected, expected, "terms"))
    assert ledger.spent_today("sandbox").microdollars <= cap, "the cap was passed"
    if isinstance(outcome, Claimed):
        ledger.submitted(name, attempt=1, owner=owner, request_id=f"r-{name}")
        under_way.append(name)
    return outcome

def end():
    name = under_way.pop(dice.randrange(len(under_way)))
    ledger.succeeded(name, attempt=1, cost_microdollars=dice.choice([None, expected, expected, at_most]))

pay(0)
meet()
number, fits = 0, True
while fits or under_way:
    number += 1
    fits = isinstance(pay(number), Claimed)
    if under_way and (not fits or dice.random() < 0.4):
        end()
        fits = True
"""
)


def test_two_processes_that_pay_and_settle_hold_a_cap_on_settled_plus_the_most_that_may_still_be_charged(ledger_url):
    cap = 60 * EXPECTED
    race(PAYER, ledger_url, cap, AT_MOST, EXPECTED)
    with Ledger.open(ledger_url) as ledger:
        spent, rows = ledger.spent_today("sandbox"), ledger.list(states={State.SUCCEEDED})
    assert {row.fingerprint[0] for row in rows} == {"a", "b"}
    told = [row.cost_microdollars for row in rows]
    assert spent.settled_microdollars == sum(cost for cost in told if cost is not None)
    assert spent.reserved_microdollars == AT_MOST * told.count(None), "what is not told counts at its most"
    assert cap - AT_MOST < spent.microdollars <= cap, "the last claim is refused only if it does not fit"
