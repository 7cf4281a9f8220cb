"""How a program of the lab begins: it unpacks what it needs, starts itself anew in the private
namespaces, and builds the world there."""
import pathlib
import subprocess
import sys

import space

PROGRAMS = ("mxwardend", "mxwarden-milter", "mxwarden")


def begin(script, usage):
    """Returns only inside the namespaces: the build folder and the remaining arguments."""
    arguments = sys.argv[1:]
    if arguments[:1] == [space.INSIDE]:
        return pathlib.Path(arguments[1]), arguments[2:]
    if not arguments or arguments[0].startswith("-"):
        raise SystemExit(usage)
    build = pathlib.Path(arguments[0]).resolve()
    missing = [name for name in PROGRAMS if not (build / name).exists()]
    if missing:
        raise SystemExit(f"lab: not built in {build}: {', '.join(missing)}")
    script = pathlib.Path(script).resolve()
    if subprocess.run([script.parent / "unpack", build / "labroot"]).returncode != 0:
        raise SystemExit(1)
    return space.enter(str(script), [str(build), *arguments[1:]])


def make_world(build):
    space.build(build / "labroot")
    from world import World  # its constants are cheap, its hosts need the space
    world = World(space.copy_programs(build, PROGRAMS))
    world.start()
    return world
