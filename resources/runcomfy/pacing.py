"""How long calls may take, and how questions are asked again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How questions are asked again; a submit never is.

    Attributes:
        attempts: Most attempts of one question, the first included.
        first_wait: Seconds before the second attempt; doubles from there.
        longest_wait: Longest pause by back-off.
        jitter: Random seconds on top, so that a batch does not come back as one.
        total_seconds: No new attempt after so long.
        longest_retry_after: A longer Retry-After is handed to the caller instead of being slept through here.
    """

    attempts: int = 5
    first_wait: float = 0.25
    longest_wait: float = 8.0
    jitter: float = 0.5
    total_seconds: float = 45.0
    longest_retry_after: float = 30.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a call may take.

    Attributes:
        connect: To connect, TLS included.
        pool: To get a free connection.
        question_read: Silence within an answer to a question.
        question: A whole question, against answers that drip.
        submit_read: Silence before and within a submit's answer; long, since giving up leaves the outcome unknown.
        submit: A whole submit.
    """

    connect: float = 10.0
    pool: float = 60.0
    question_read: float = 30.0
    question: float = 60.0
    submit_read: float = 120.0
    submit: float = 240.0
