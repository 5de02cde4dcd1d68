import memristive.interrupts  # first, for Ctrl-C during the other imports  # noqa: F401
