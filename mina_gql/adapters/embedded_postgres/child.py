"""Becomes PostgreSQL: drops root, asks the kernel to be stopped when its owner dies, then replaces itself.

Run as a script: `python -I -S child.py <owner pid> <signal> <uid> <gid> <program> [argument …]`; uid -1 keeps the
user. A process of its own because code between fork and exec (`preexec_fn`) may deadlock in a program with threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def main(owner: str, signal: str, uid: str, gid: str, *command: str) -> None:
    """Never returns: the process becomes `command`, or exits with 1 when the owner is gone already."""
    if int(uid) >= 0:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        # After setuid, which clears it. Elsewhere the next start finds and stops the orphan.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal), 0, 0, 0)
        if os.getppid() != int(owner):
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
