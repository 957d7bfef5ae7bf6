"""Every limit of the product, named once. Tests try each at its maximum and one above."""

from typing import Final

ID_CHARS_MAX: Final = 128
BODY_BYTES_MAX: Final = 1024 * 1024
JSON_DEPTH_MAX: Final = 32
INTEGER_MAX: Final = 2**63 - 1  # what every store and every consumer can hold
USER_DATA_BYTES_MAX: Final = 64 * 1024
COMMENT_CHARS_MAX: Final = 2_000
OZONETEL_COMMENT_CHARS_MAX: Final = 250
TEXT_CHARS_MAX: Final = 256  # phone numbers, causes, reasons, codes
IDEMPOTENCY_KEY_CHARS_MAX: Final = 255
AGENTS_PER_CALL_MAX: Final = 64
WRAP_UP_S_MAX: Final = 24 * 3600
IDEMPOTENCY_KEPT_MS: Final = 24 * 3600 * 1000
LOG_KEPT_MS: Final = 7 * 24 * 3600 * 1000  # of what every group has read; streams resume within it
VERDICTS_PER_CALL_MAX: Final = 512  # oldest first beyond it, however young
EVENT_IDS_PER_CALL_MAX: Final = 256  # duplicates are recognised among the newest of these
CORRECTIONS_KEPT_MAX: Final = 32  # the first is always kept
STATUSES_KEPT_MAX: Final = 32  # of a subject, before the one that holds; the first is always kept
VERDICTS_PER_SUBJECT_MAX: Final = 256  # oldest first beyond it, however young
SUBJECT_DATA_BYTES_MAX: Final = 16 * 1024
CALLS_BESIDE_MAX: Final = 8  # the newest calls of a subject that are looked at
EVENTS_PER_BATCH_MAX: Final = 1_000
ZIPTEAMS_BODY_BYTES_MAX: Final = 5 * 1024 * 1024
ZIPTEAMS_CALLS_MAX: Final = 50  # in one batch, as the vendor has it
PAGE_SIZE_MAX: Final = 200
BATCH_RECORDS_MAX: Final = 4_000
EFFECTS_PER_DOCUMENT_MAX: Final = 4_096
WAITING_VERDICTS_MAX: Final = 4_096
CONNECTIONS_MAX: Final = 4_096
HEADER_RECEIPT_S: Final = 10
BODY_RECEIPT_S: Final = 10
STREAM_CLIENTS_MAX: Final = 1_000
STREAM_QUEUE_MAX: Final = 1_000
BAYEUX_BODY_BYTES_MAX: Final = 64 * 1024  # a request's body, a frame
BAYEUX_MESSAGES_MAX: Final = 64  # in one body or frame
BAYEUX_SESSIONS_MAX: Final = 1_000
BAYEUX_SESSIONS_PER_CREDENTIAL_MAX: Final = 16  # tabs of one agent, and those just left
BAYEUX_SOCKETS_MAX: Final = 1_000
BAYEUX_SOCKETS_PER_CREDENTIAL_MAX: Final = 16
BAYEUX_SUBSCRIPTIONS_MAX: Final = 32  # of one client id
BAYEUX_CHANNEL_CHARS_MAX: Final = 256
BAYEUX_QUEUE_MESSAGES_MAX: Final = 256  # waiting or unacknowledged, of one client id
BAYEUX_QUEUE_BYTES_MAX: Final = 512 * 1024  # the same, some calls carry much user data
BAYEUX_CALLBACK_CHARS_MAX: Final = 128
SILENCE_S: Final = 4 * 3600  # a call nobody has spoken of for this long has ended unseen
