"""Files are written elsewhere and put in their place when complete: never half of one.

What is being written lies in the folder for temporary files of the system. From there it goes into
a file without a name in the folder of the target (Linux), which takes its name when it is complete:
a process that is killed leaves nothing beside the target. What it leaves in the folder for
temporary files is cleared by the next that writes there: the name says which process it was, and a
lock on the folder, which ends with it, whether it is at work somewhere else, as in a container. A
folder that was made just now may be one whose lock is still to be taken, and is left.
"""

import os
import re
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without locks of this kind, where nothing is cleared
    fcntl = None

__all__ = ["replacing"]

DESCRIPTORS = "/proc/self/fd"
# A name that nobody gives to a folder: what has it is removed.
PREFIX = ".specmodels-writing-"
OURS = re.compile(re.escape(PREFIX) + r"([0-9]+)-[a-z0-9_]{8}")
# Seconds after which a folder that a process is at work in has its lock.
LEAST_AGE = 60.0


@contextmanager
def replacing(path):
    """Give a temporary path of the same name; what was written there replaces `path`.

    An older file stays as it is where writing fails, and gives its permissions to the new one. A
    symbolic link stays, and the file that it leads to is replaced.

    Raises
    ------
    OSError
        If the folder cannot be written to, or nothing was written.
    """
    path = Path(path)
    _clear_left_behind(Path(tempfile.gettempdir()))
    prefix = f"{PREFIX}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, _locked(folder):
        temporary = Path(folder) / path.name
        yield temporary
        _move(temporary, Path(os.path.realpath(path)))


@contextmanager
def _locked(folder):
    """Hold the lock of a folder; true if nobody else has it."""
    descriptor = None if fcntl is None else os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    held = False
    try:
        with suppress(OSError):  # held by another, or a system of files without locks
            if descriptor is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
        yield held
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _clear_left_behind(folder):
    """Remove what killed processes of this user have left in the folder for temporary files."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in [entry for entry in entries if OURS.fullmatch(entry.name)]:
            with suppress(OSError):  # another process has cleared it
                if _is_of_dead_process(entry):
                    with _locked(entry.path) as free:
                        if free:
                            shutil.rmtree(entry.path)


def _is_of_dead_process(entry):
    """Whether a folder is one of ours, not of just now, whose process has ended."""
    if fcntl is None or not entry.is_dir(follow_symlinks=False):
        return False
    state = entry.stat(follow_symlinks=False)
    if state.st_uid != os.getuid() or time.time() - state.st_mtime < LEAST_AGE:
        return False
    try:
        os.kill(int(OURS.fullmatch(entry.name)[1]), 0)
    except ProcessLookupError:
        return True
    except OverflowError:
        return False
    return False


def _move(source, target):
    """Put a copy of a file in the place of another, at once."""
    mode = target.stat().st_mode & 0o7777 if target.exists() else None
    descriptor = _unnamed(target.parent)
    if descriptor is None:
        _by_name(source, target, mode)
        return
    with os.fdopen(descriptor, "wb") as copy, source.open("rb") as original:
        _copy(original, copy, mode)
        _give_name(copy.fileno(), target)


def _unnamed(folder):
    """Descriptor of a new file without a name, None where the system has none."""
    if not os.path.isdir(DESCRIPTORS):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except PermissionError:
        raise
    except (AttributeError, OSError):
        return None


def _copy(original, copy, mode):
    shutil.copyfileobj(original, copy, 1 << 20)
    copy.flush()
    if mode is not None:
        os.chmod(copy.fileno(), mode)
    os.fsync(copy.fileno())


def _give_name(descriptor, target):
    """Name a file without one; an older file is replaced by way of a second name."""
    try:
        _link(descriptor, target)
    except FileExistsError:
        second = _free_name(target)
        _link(descriptor, second)
        os.replace(second, target)


def _link(descriptor, name):
    # Only with a folder given does Python follow the link that leads to the open file.
    os.link(f"{DESCRIPTORS}/{descriptor}", name, src_dir_fd=descriptor, follow_symlinks=True)


def _by_name(source, target, mode):
    """The same where files have to have a name."""
    second = _free_name(target)
    try:
        with second.open("xb") as copy, source.open("rb") as original:
            _copy(original, copy, mode)
        os.replace(second, target)
    finally:
        second.unlink(missing_ok=True)


def _free_name(target):
    return Path(tempfile.mktemp(prefix=".specmodels-", dir=target.parent))
