"""What a clip waits for, in words that complete "waits for ..."."""

_WORDS = {
    "account": "the account",
    "approval": "approval",
    "budget": "the budget",
    "catalogue": "the model catalogue",
    "deadline": "the service, which still works on it",
    "download": "its download",
    "film": "a refused shot of its film to be corrected",
    "heap": "one approval of all that came with it",
    "keep_face": "a model that keeps the face",
    "lost": "a new take, since its video is lost",
    "no_video": "a file from the service that is a video",
    "not_found": "the service to know its request again",
    "outage": "the end of an outage of the service",
    "paused": "`i2v resume`",
    "person": "`i2v retry`",
    "price": "a price",
    "price_agreement": "an agreement to a price or model that was a surprise: i2v models",
    "price_changed": "a new plan, since the price changed",
    "replaced": "a new plan, since a file changed",
    "service": "the service",
    "stopped": "the next run",
    "storage": "the bucket or the ledger",
    "ledger": "the ledger that the bucket knows",
    "unknown": "a decision about a request of unknown outcome",
    "window": "the hours in which paid work may start",
}


def wait_words(waiting_for: str) -> str:
    """Return "waits for ..." for the reason that the registry keeps; an unknown reason is shown as it is."""
    return f"waits for {_WORDS.get(waiting_for, waiting_for)}"
