"""Pure translators from switch messages to telephony events."""
