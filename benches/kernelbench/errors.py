"""What may go wrong while a kernel is measured."""


class BenchError(Exception):
    """A measure could not be taken of this kernel."""


class Timeout(BenchError):
    """The kernel did not answer in time."""


class Died(BenchError):
    """The kernel process ended."""


class NotApplicable(Exception):
    """The kernel does not have the feature: recorded, not an error."""
