"""``kubectl_complete-llmendpoint``: what kubectl runs to complete the arguments of its plugin.

https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/#shell-completion
"""

import contextlib
import io
import os
import shlex
import sys

from llmendpoint.cli.main import app

NAME = "llmendpoint"
# Of Cobra's shell completion: names of files are no answer.
NO_FILES = ":4"


def main() -> None:
    """Print what may stand in the place of the last argument, as kubectl reads it."""
    os.environ["_LLMENDPOINT_COMPLETE"] = "complete_bash"
    os.environ["COMP_WORDS"] = shlex.join([NAME, *(argument for argument in sys.argv[1:] if argument)])
    os.environ["COMP_CWORD"] = str(len(sys.argv) - 1)
    found = io.StringIO()
    with contextlib.redirect_stdout(found), contextlib.suppress(SystemExit):
        app(prog_name=NAME, args=[])
    sys.stdout.write(f"{found.getvalue().rstrip()}\n{NO_FILES}\n".lstrip("\n"))
