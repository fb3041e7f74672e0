"""Ctrl-C waits for the end of a step."""

import os
import signal
import threading

import pytest

from phi_sip.interrupts import Terminated, interrupts_between_steps


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_waits_to_be_asked_for():
    done = []

    def run() -> None:
        with interrupts_between_steps() as check_interrupt:
            for step in range(9):
                check_interrupt()
                if step == 3:
                    press()
                done.append(step)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == [0, 1, 2, 3]


def test_an_interrupt_in_the_last_step_is_not_lost():
    with pytest.raises(KeyboardInterrupt), interrupts_between_steps():
        press()


def test_a_second_interrupt_takes_effect_at_once():
    reached = []

    def run() -> None:
        with interrupts_between_steps():
            press()
            reached.append("first")
            press()
            reached.append("second")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert reached == ["first"]


def test_the_handler_before_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    with interrupts_between_steps() as check_interrupt:
        assert signal.getsignal(signal.SIGINT) is not before
        check_interrupt()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_ignored_stays_ignored(number):
    """As Ctrl-C of what a shell has started in the background."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with interrupts_between_steps() as check_interrupt:
            os.kill(os.getpid(), number)
            check_interrupt()
            assert signal.getsignal(number) is signal.SIG_IGN
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_termination_waits_too():
    done = []

    def run() -> None:
        with interrupts_between_steps() as check_interrupt:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("the rest of the step")
            check_interrupt()
            done.append("another step")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated):
        run()
    assert done == ["the rest of the step"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_are_left_alone():
    seen = []

    def run() -> None:
        with interrupts_between_steps() as check_interrupt:
            check_interrupt()
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
