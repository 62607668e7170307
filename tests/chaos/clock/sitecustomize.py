"""For a process with this folder on PYTHONPATH: the machine's clock, set by the seconds in the file $CLOCK_FILE.

The clock of a machine that tests share can not be set, and a library that is loaded before all others to bend the time
of a process (libfaketime) breaks sleeping in it.
"""

import os
import time
from pathlib import Path

machine, set_by = time.time, Path(os.environ["CLOCK_FILE"])
time.time = lambda: machine() + float(set_by.read_text())
