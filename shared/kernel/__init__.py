"""What a rule gives back: a new state, effects to publish, an answer. Pure."""

from shared.kernel.decision import Decision, Publish

__all__ = ["Decision", "Publish"]
