"""Timeouts of calls, and how read calls are retried."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How read calls are retried; a submit never is.

    Attributes:
        attempts: Most attempts of one call, the first included.
        first_wait: Seconds before the second attempt; doubles from there.
        longest_wait: Longest pause of the back-off.
        jitter: Random seconds added, so that a batch does not retry all at once.
        total_seconds: No new attempt after this time.
        longest_retry_after: A longer Retry-After is passed to the caller instead of being waited for here.
    """

    attempts: int = 5
    first_wait: float = 0.25
    longest_wait: float = 8.0
    jitter: float = 0.5
    total_seconds: float = 45.0
    longest_retry_after: float = 30.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of a call, in seconds.

    Attributes:
        connect: To connect, TLS included.
        pool: To get a free connection.
        question_read: Silence within the answer to a read call.
        question: A whole read call, in case an answer drips.
        submit_read: Silence before and within a submit's answer; long, since giving up leaves the outcome unknown.
        submit: A whole submit.
    """

    connect: float = 10.0
    pool: float = 60.0
    question_read: float = 30.0
    question: float = 60.0
    submit_read: float = 120.0
    submit: float = 240.0
