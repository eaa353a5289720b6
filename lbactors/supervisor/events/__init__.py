"""Events: put into the outbox with what they tell of, and sent to webhooks and plugins until confirmed."""
