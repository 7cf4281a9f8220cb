"""Cases: what the runner runs. A theme is one file, cases_<theme>.py, whose CONF gives mxwarden's
configuration for a node's name; its cases are the functions marked with @case."""
import importlib
import pathlib

CASES = []


class Case:
    def __init__(self, name, function, conf, guard):
        self.name, self.function, self.conf, self.guard = name, function, conf, guard


def case(name, conf=None, guard=False):
    """Marks a function of the world as a case. conf replaces the theme's; guard says that mx1
    must be observed by mx2 before it begins."""
    def mark(function):
        theme = function.__module__.removeprefix("cases_")
        CASES.append(Case(f"{theme}: {name}", function, conf or function.__globals__["conf"],
                          guard))
        return function
    return mark


def load(pattern=""):
    """Every case whose name holds the pattern, theme by theme."""
    for file in sorted(pathlib.Path(__file__).parent.glob("cases_*.py")):
        importlib.import_module(file.stem)
    return [one for one in CASES if pattern in one.name]
