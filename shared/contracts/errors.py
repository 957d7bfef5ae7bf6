"""Errors, by what happens next.

AftercallError
├── Refused      tell the caller: the request breaks a rule; trying again changes nothing
├── Retryable    the same input may succeed later; nothing is known to be lost
│   ├── Unavailable     log or store not to be had: unknown, retry with the same key
│   │   └── TooLong     a question that the store can't answer in the time it has: ask for less
│   ├── WriteConflict   another owner wrote a document: drop the batch, read again
│   └── PartitionsMoved the assignment changed: drop the batch, read positions again
├── Poison       this input can never be processed: dead letter, with its reason
└── Bug          our own promise is broken: stop the loop, loudly; never skip
"""


class AftercallError(Exception):
    """Root of every error the product raises on purpose."""


class Refused(AftercallError):
    """A rule says no.

    Attributes:
        code: stable, machine readable (`unknown_call`, `callback_required`, ...).
        detail: one sentence for a person.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Retryable(AftercallError):
    """The same input may succeed later."""


class Unavailable(Retryable):
    """Log or store did not answer: whether a write landed is unknown."""


class TooLong(Unavailable):
    """The store is there, but the answer takes longer than it may: ask for less, or later."""


class WriteConflict(Retryable):
    """A compare-and-set found another version than the one it had read."""


class PartitionsMoved(Retryable):
    """Partitions were assigned anew; what was fetched before must be dropped."""


class Poison(AftercallError):
    """Input that no later attempt can process.

    Attributes:
        reason: stable, machine readable; stands in the dead letter's headers.
        detail: one sentence for a person; never holds the input itself.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Bug(AftercallError):
    """A promise of our own is broken."""
