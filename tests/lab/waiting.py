"""Waiting for a condition instead of sleeping, and the failure that says what did not come."""
import time


class Failure(Exception):
    """A case's expectation did not hold."""


def wait_for(what, condition, timeout=10.0):
    """Asks condition until it gives something true, which is returned. Trouble with reaching a
    program that is just starting is not an answer yet."""
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (OSError, ValueError, KeyError) as trouble:
            last = trouble
        if time.monotonic() > end:
            raise Failure(f"waited {timeout:g} s in vain for {what}; last: {last!r}")
        time.sleep(0.02)


def check(truth, *explanation):
    if not truth:
        raise Failure(" ".join(str(part) for part in explanation))


def same(got, wanted, what=""):
    if got != wanted:
        raise Failure(f"{what}: got {got!r}, wanted {wanted!r}")
