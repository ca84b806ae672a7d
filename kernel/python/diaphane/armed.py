"""Which cell armed a signal, by its handler or by a timer: an error of the handler is shown there."""

import functools
import signal
import traceback

TIMERS = {
    signal.ITIMER_REAL: signal.SIGALRM,
    signal.ITIMER_VIRTUAL: signal.SIGVTALRM,
    signal.ITIMER_PROF: signal.SIGPROF,
}


class Armed:
    """For each signal, what `who()` said when it was armed last."""

    def __init__(self, who):
        self._who = who
        self._armed = {}
        signal.signal = self._watched(signal.signal, lambda signalnum, handler: signalnum)
        signal.setitimer = self._watched(signal.setitimer, lambda which, *_: TIMERS[which])
        signal.alarm = self._watched(signal.alarm, lambda _seconds: signal.SIGALRM)

    def _watched(self, function, signal_of):
        @functools.wraps(function)
        def watched(*args, **kwargs):
            before = function(*args, **kwargs)
            self._armed[signal_of(*args, **kwargs)] = self._who()
            return before

        return watched

    def by(self, error):
        """What was said of the signal in whose handler the error was raised, if it was in one."""
        codes = [frame.f_code for frame, _line in traceback.walk_tb(error.__traceback__)]
        for number, who in self._armed.items():
            if code_of(signal.getsignal(number)) in codes:
                return who
        return None


def code_of(handler):
    """The code of a function, a method, a partial or an object that can be called."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    function = getattr(handler, "__func__", handler)
    if not hasattr(function, "__code__") and callable(handler):
        function = type(handler).__call__
    return getattr(function, "__code__", None)
