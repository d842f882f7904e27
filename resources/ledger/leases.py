"""How long a claim is valid: its owner stops early, and all others wait longer than the lease says.

Between the two lies a gap of `MARGIN_SECONDS` + `GRACE_SECONDS` in which no process may send. It covers the difference
between clocks, and a pause of the owner between its last check of the clock and the first byte of its POST.
"""

from datetime import timedelta

MARGIN_SECONDS = 5.0
"""Seconds left below which a claim is renewed before anything is sent. Clocks kept by NTP differ by milliseconds, badly
kept ones by a second or two; writing a request takes milliseconds."""
GRACE_SECONDS = 30.0
"""Seconds after the end of the lease until a claim counts as dead. Clouds freeze a machine for up to about 30 s when
they move it. Only a freeze longer than this plus the margin, right after the last check of the clock, could do harm.
The price: the unknown outcome of a dead run is reported half a minute later."""

LONGEST_LEASE = timedelta(hours=1)
"""The most that I2V_LEASE_SECONDS may be. A lease that ends later than so long from now was written by a clock that is
wrong, and counts as run out."""
LONGEST_PAUSE = timedelta(minutes=15)
"""The longest pause that is granted to the service: a larger Retry-After is a mistake (a date, milliseconds)."""
