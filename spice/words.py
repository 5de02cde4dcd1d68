"""What ngspice says: which of it is a complaint, which a warning for the user, and which nothing."""

import functools
import logging
import re
from dataclasses import dataclass

# In a line of ngspice's output, a complaint: no part of a name, not the value of a measurement or of a node in a table.
ERROR = re.compile(r"^(?!\s*\S+\s+[-+.\de]+\s*$).*(?<![\w.#])errors?\b(?!\s*=)", re.IGNORECASE)
# Lines that ngspice 44, or 39 (of stepping), writes on stderr without anything being wrong.
HARMLESS = re.compile(r"losing old state|condition met: stop|pause requested|simulation interrupted|^Note:|^Using |^\s*$|"
                      r"^Checking parameters for |time step\s+(is|was) too large for|tmax is now set|"
                      r"^Trying gmin =|^Supplies reduced to")
# A warning goes to the user; a line of the netlist ignored is an error, but not a model's parameter that others know.
WARNING = re.compile(r"^(\*+ )?warning(:|\()(?!.*ignored)|^\( Npext|NPEXTWP? might be wrong|^\.model |"
                     r"^unrecognized parameter \(.*\) - ignored", re.IGNORECASE)
UNKNOWN = re.compile(r"^unrecognized parameter \((.*)\) - ignored", re.IGNORECASE | re.MULTILINE)
MODEL = re.compile(r"^\.model .*", re.IGNORECASE | re.MULTILINE)
GIVEN_UP = re.compile(r"cannot recover")
UNSOUND = re.compile(r"^Fatal error")  # after which another run of the same circuit may crash
NO_POINT = "Note: Transient op finished"  # ngspice's last resort: where a transient has come, settled or not


@dataclass(frozen=True)
class Said:
    """What an ngspice said: its `complaints`, "" if there are none, and whether it is `lost`."""

    complaints: str
    lost: bool


def understood(stderr: str, stdout: str) -> Said:
    """What is wrong, of all that ngspice wrote at a command; what only the user can judge is logged as a warning."""
    lines = stderr.splitlines() + [line for line in stdout.splitlines() if ERROR.search(line)]
    paused = any("condition met: stop" in line for line in lines)  # it goes on: what did not converge was an earlier sweep's
    said = [line.strip() for line in lines if not HARMLESS.search(line) and not GIVEN_UP.search(line)
            and not (paused and line.startswith("doAnalyses:"))]
    complaints = "; ".join(dict.fromkeys(said)) if any(not WARNING.search(line) for line in said) else ""
    unknown = dict.fromkeys(UNKNOWN.findall(f"{stderr}\n{stdout}"))  # ngspice 39 writes all but the first on stdout
    if unknown and not complaints:
        say_once(f"Warning: ngspice ignores parameters that it does not know ({', '.join(unknown)}) of "
                 + "; ".join(dict.fromkeys(MODEL.findall(stderr))))
    if NO_POINT in stderr:
        logging.getLogger(__name__).warning("Warning: ngspice found no operating point; this is where a transient of its own "
                                            "(optran) has come, which need not have settled")
    return Said(complaints, any(GIVEN_UP.search(line) or UNSOUND.search(line) for line in lines))


@functools.cache
def say_once(warning: str) -> None:
    """Log a warning: once, since a circuit may be loaded again for each of a thousand runs."""
    logging.getLogger(__name__).warning(warning)
