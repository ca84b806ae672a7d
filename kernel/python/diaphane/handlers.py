"""Signal handlers of the user's: their errors end code of the user's, and never the kernel's own or its loop.

An error that is raised while the kernel works or waits ends the `await` of the cell that armed the signal, by its
handler or by a timer, or is shown under that cell.
"""

import _signal
import functools
import signal

TIMERS = {
    signal.ITIMER_REAL: signal.SIGALRM,
    signal.ITIMER_VIRTUAL: signal.SIGVTALRM,
    signal.ITIMER_PROF: signal.SIGPROF,
}


class Handlers:
    """Puts a guard around each handler that is set from Python, which does not show it.

    `signal.signal` asks `_signal.signal`, so that is where it stands, and who knows that function gets a guard, too.
    """

    def __init__(self, native, may_raise, who, escaped):
        """`native.guarded(handler, keeps)` makes a guard that keeps an error where `keeps(error, frame)` says so.

        `may_raise(signalnum, frame)` says whether what runs is ready for an error. Where not, `escaped(error, who)`
        gets it, with what `who()` said when the signal was armed.
        """
        self._native, self._may_raise, self._who, self._escaped = native, may_raise, who, escaped
        self._guards = {}
        self._armed = {}
        self._set, self._get = _signal.signal, _signal.getsignal
        _signal.signal = functools.wraps(self._set)(lambda signalnum, handler, /: self._set_guarded(signalnum, handler))
        _signal.getsignal = functools.wraps(self._get)(
            lambda signalnum, /: self._plain(signalnum, self._get(signalnum))
        )
        _signal.setitimer = signal.setitimer = self._arming(_signal.setitimer, TIMERS.get)
        _signal.alarm = signal.alarm = self._arming(_signal.alarm, lambda _seconds: signal.SIGALRM)

    def _set_guarded(self, signalnum, handler):
        guard = handler
        if callable(handler) and handler is not signal.default_int_handler:
            guard = self._native.guarded(handler, functools.partial(self._keeps, signalnum))
            self._native.follow(signalnum)
        before = self._plain(signalnum, self._set(signalnum, guard))
        self._guards[signalnum] = (guard, handler)
        self._armed[signalnum] = self._who()
        return before

    def _plain(self, signalnum, found):
        guard, handler = self._guards.get(signalnum, (None, None))
        return handler if found is guard and guard is not None else found

    def _arming(self, function, signal_of):
        @functools.wraps(function)
        def arm(first, *rest):
            before = function(first, *rest)
            self._armed[signal_of(first)] = self._who()
            return before

        return arm

    def _keeps(self, signalnum, error, frame):
        if self._may_raise(signalnum, frame):
            return False
        self._escaped(error, self._armed[signalnum])
        return True
