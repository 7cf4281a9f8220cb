"""How a program of the lab begins: it unpacks what it needs, starts itself anew in the private
namespaces, and builds the world there."""
import pathlib
import subprocess
import sys

import space

PROGRAMS = ("mxwardend", "mxwarden-milter", "mxwarden")
# Mail servers that Debian installs only in place of Postfix, and what few cases need; here each has a
# folder of its own.
PEERS = {"sendmail": ["sendmail-bin", "sendmail-base", "sendmail-cf", "m4"],
         "exim": ["exim4-daemon-light", "exim4-base", "exim4-config"],
         "opensmtpd": ["opensmtpd", "libfaketime"],
         "stunnel": ["stunnel4"]}


def unpack(build, peers=()):
    """Whether what the lab runs is there now."""
    program = pathlib.Path(__file__).resolve().parent / "unpack"
    folders = [("labroot", []), *((f"labroot-{one}", PEERS[one]) for one in peers)]
    return all(subprocess.run([program, build / folder, *packages]).returncode == 0
               for folder, packages in folders)


def begin(script, usage, peers=()):
    """Returns only inside the namespaces: the build folder and the remaining arguments. peers: the
    names of those of PEERS that are needed too."""
    arguments = sys.argv[1:]
    if arguments[:1] == [space.INSIDE]:
        return pathlib.Path(arguments[1]), arguments[2:]
    if not arguments or arguments[0].startswith("-"):
        raise SystemExit(usage)
    build = pathlib.Path(arguments[0]).resolve()
    missing = [name for name in PROGRAMS if not (build / name).exists()]
    if missing:
        raise SystemExit(f"lab: not built in {build}: {', '.join(missing)}")
    if not unpack(build, peers):
        raise SystemExit(1)
    return space.enter(str(pathlib.Path(script).resolve()), [str(build), *arguments[1:]])


def make_space(build):
    space.build(build / "labroot", sorted(build.glob("labroot-*/")))


def make_world(build):
    make_space(build)
    from world import World  # its constants are cheap, its hosts need the space
    world = World(space.copy_programs(build, PROGRAMS))
    world.start()
    return world
