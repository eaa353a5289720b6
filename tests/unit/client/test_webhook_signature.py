"""Signatures of webhooks are checked as the Standard Webhooks library checks them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from lbactors.client import InvalidSignature, verify_webhook

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"type": "period.closed", "name": "Søren"}, ensure_ascii=False)


def headers(secret: str = SECRET, age: timedelta = timedelta()) -> dict[str, str]:
    at = datetime.now(UTC) - age
    return {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("evt_1", at, BODY),
    }


def test_an_event_of_the_server() -> None:
    assert verify_webhook(SECRET, headers(), BODY.encode())["name"] == "Søren"
    both = headers()
    both["Webhook-Signature"] = f"{headers(OTHER)['Webhook-Signature']} {both['Webhook-Signature']}"
    assert verify_webhook(SECRET, both, BODY.encode())  # after a rotation


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (headers(OTHER), BODY),
        (headers(), BODY.replace("closed", "opened")),
        (headers(age=timedelta(hours=1)), BODY),
        (headers(age=timedelta(hours=-1)), BODY),
        ({**headers(), "Webhook-Id": "evt_2"}, BODY),
        ({**headers(), "Webhook-Timestamp": "now"}, BODY),
        ({**headers(), "Webhook-Signature": ""}, BODY),
        ({}, BODY),
    ],
)
def test_everything_else(given: dict[str, str], body: str) -> None:
    with pytest.raises(InvalidSignature):
        verify_webhook(SECRET, given, body.encode())


def test_a_secret_that_is_none() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook("secret!", headers(), BODY.encode())
