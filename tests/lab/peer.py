"""Further hosts, each with a mail server and mxwarden of its own."""
import contextlib

from waiting import check


@contextlib.contextmanager
def running(world, make):
    """A host of this class, which the first case that wants it makes, and which runs only during the
    cases that do. What goes wrong is told with the ends of its logs."""
    name = f"peer {make.__module__}.{make.__name__}"
    if not hasattr(world, name):
        setattr(world, name, make(world))
    one = getattr(world, name)
    try:
        one.start()
        yield one
    except Exception as failure:
        lines = [*one.mta.log_text().splitlines()[-15:], *one.warden.log_text().splitlines()[-15:]]
        failure.args = ("\n".join([str(failure), *lines]),)
        raise
    finally:
        one.stop()
        check(not one.warden.reports(), *one.warden.reports())
