"""Reading large CSV batches beside the look that found them: a sensor has a minute for everything it looks at.

A look waits a little for its large lists. One that is not read by then is read on in a thread, and a later look takes it:
until then its clips stay as they are, and the files that it mentions are held. A small list is read at once.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import TypeAlias

from i2v_assets.uploads.csv_batches import LIST_FORMATS, BadRow, BatchFormat, BatchRow, parse_batch
from i2v_assets.uploads.roles import role_of, split_name
from resources.storage.keys import UPLOADS

LARGE_BYTES = 1024 * 1024
"""Characters of a list that is read aside; a smaller one takes at most 0.3 s."""

PATIENCE_SECONDS = 10.0
"""Seconds that one look of a sensor waits for its large lists: the largest takes about 4 s."""

_MOST_KEPT = 64
"""Large lists whose rows are kept between looks; more than any folder of lists has needed."""

Rows: TypeAlias = tuple[tuple[BatchRow, ...], tuple[BadRow, ...]]

_lock = threading.Lock()
_one_at_a_time = threading.Lock()
_read: OrderedDict[tuple[str | bytes, str], Future[Rows]] = OrderedDict()


def parse_list(text: str | bytes, path: str) -> Rows:
    """Return the rows of a list below ``uploads/``, as `parse_batch`; waits for one that is being read.

    Raises:
        BriefError: the whole file cannot be used.
    """
    if len(text) < LARGE_BYTES:
        return parse_batch(text, path, _format(path))
    return _future(text, path).result()


def is_read(text: str | bytes, path: str) -> bool:
    """Return whether `parse_list` would answer at once."""
    return len(text) < LARGE_BYTES or _future(text, path).done()


def unread_lists(texts: Mapping[str, object], seconds: float | None) -> frozenset[str]:
    """Begin to read the large lists among some texts, and return the keys of those that are not read in that time.

    Args:
        texts: The texts of documents, by key.
        seconds: How long to wait; None for as long as it takes.
    """
    large = {
        key: _future(text, key.removeprefix(UPLOADS))
        for key, text in texts.items()
        if isinstance(text, str | bytes) and len(text) >= LARGE_BYTES and role_of(key.rpartition("/")[2]) == "batch"
    }
    wait(large.values(), seconds)
    return frozenset(key for key, future in large.items() if not future.done())


def _format(path: str) -> BatchFormat:
    return LIST_FORMATS[split_name(path)[1]]


def _future(text: str | bytes, path: str) -> "Future[Rows]":
    with _lock:
        found = _read.get((text, path))
        if found is None:
            found = _read[text, path] = Future()
            # A thread of its own, which a forked process does not expect to have, and which the process does not wait for at its end.
            threading.Thread(target=_parse, args=(found, text, path), name=f"list {path}", daemon=True).start()
        _read.move_to_end((text, path))
        while len(_read) > _MOST_KEPT:
            _read.popitem(last=False)
        return found


def _parse(future: "Future[Rows]", text: str | bytes, path: str) -> None:
    with _one_at_a_time:
        try:
            future.set_result(parse_batch(text, path, _format(path)))
        except BaseException as error:  # noqa: BLE001 - raised where the rows are asked for
            future.set_exception(error)
