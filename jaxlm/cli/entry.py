"""The console entry: Ctrl-C is listened to before anything that takes time is imported."""

import os
import signal
import sys
from io import TextIOWrapper
from typing import NoReturn

from jaxlm.cli.interrupt import INTERRUPTED, end_on_interrupt


def entry() -> NoReturn:
    """Runs the command, then ends the process."""
    end_on_interrupt()
    if isinstance(sys.stdout, TextIOWrapper):  # a log has each line as it comes, also that before a process is left by the others
        sys.stdout.reconfigure(line_buffering=True)
    from jaxlm.cli.main import main

    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done and said; the interpreter's end would let it kill
    if code == INTERRUPTED:  # what still compiles in another thread would crash the interpreter on its way out
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
