"""The last seconds of a metric."""

from llmendpoint.simulate.peers.windows import Growth, Window


def test_a_window_lets_go_of_what_is_as_old_as_itself() -> None:
    window = Window(60.0)
    for at, value in ((0.0, 9.0), (30.0, 2.0), (59.0, 4.0)):
        window.add(at, value)
    assert (window.mean, window.most, window.least) == (5.0, 9.0, 2.0)
    window.add(60.0, 6.0)
    assert (window.mean, window.most, window.least) == (4.0, 6.0, 2.0)


def test_a_window_of_no_length_holds_the_present() -> None:
    window = Window(0.0)
    window.add(1.0, 5.0)
    window.add(2.0, 3.0)
    assert window.most == 3.0


def test_growth_is_that_of_the_window_or_since_the_first_reading() -> None:
    growth = Growth(60.0)
    growth.add(0.0, 100.0)
    assert (growth.total, growth.rate) == (None, None)
    growth.add(20.0, 120.0)
    growth.add(20.0, 120.0)
    assert (growth.total, growth.rate) == (20.0, 1.0)
    growth.add(60.0, 280.0)
    assert growth.rate == 3.0
    growth.add(90.0, 280.0)
    assert growth.total == 160.0  # since 20 s: the reading before the window began


def test_growth_bridges_a_gap() -> None:
    growth = Growth(60.0)
    for at, total in ((0.0, 0.0), (10.0, 10.0), (1000.0, 1000.0)):
        growth.add(at, total)
    assert growth.rate == 1.0
