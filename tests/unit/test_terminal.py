"""What reaches a terminal."""

from rich.table import Table

from llmendpoint.cli.terminal import console


def test_what_others_wrote_does_not_steer_the_terminal() -> None:
    out = console(40)
    table = Table.grid()
    table.add_row("exit code 1: \x1b[2Jall is \x9b31mwell\r\x07", "ünï 漢")
    with out.capture() as printed:
        out.print("\x1b]0;mine\x07 title\n\tnext")
        out.print(table)
    assert printed.get() == "]0;mine title\n        next\nexit code 1: [2Jall is 31mwellünï 漢\n"
