"""What a run says of running trials where nobody sees bars."""

import pytest

from dgm.trial.progress import Display
from tests.trial.test_loop import FakeTime


def test_a_log_has_a_line_a_minute_for_each_trial(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = FakeTime(monkeypatch)
    display = Display(2, 0)
    for step in range(1, 301):
        clock.advance(1)
        display.update("a", "train", step, 5000)
        if step > 200:
            display.update("b", "ais", step, 1000)
    display.end("a", "finished: a")
    display.close()
    assert capsys.readouterr().err.splitlines() == [
        "a: train, step 61 of 5,000, about 82 min left",
        "a: train, step 121 of 5,000, about 81 min left",
        "a: train, step 181 of 5,000, about 80 min left",
        "a: train, step 241 of 5,000, about 79 min left",
        "b: ais, step 261 of 1,000, about 12 min left",
        "finished: a",
    ]
