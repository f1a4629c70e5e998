"""What schemathesis looks at in every answer, beside its own checks: SCHEMATHESIS_HOOKS names this file."""

import schemathesis

# Kafka Connect answers 500 to a body that it cannot read, and to what FileStreamSource does not like: so does Transom.
JAVAS = (
    "Unexpected character or end",
    "Cannot deserialize value",
    "Cannot construct instance",
    "Cannot coerce empty String",
    "Input mismatch reading Enum",
    "Unrecognized field",
    "The request has no body",
    "Illegal null or empty Level name.",
    "Offset objects should either be null",
    "Partition objects",
    "The value for the 'position' key",
)


@schemathesis.check
def no_5xx_but_javas(ctx, response, case):
    """A 5xx is one that Kafka Connect would give, too."""
    if response.status_code >= 500:
        message = response.json().get("message", "")
        assert response.status_code == 500 and message.startswith(JAVAS), f"{response.status_code} {message}"
