"""What every route uses: a request from its bytes to a `Call`, and an answer back to bytes.

* a request: `call`, `envelope`, `codec`, `parameters`, `shared_parameters`, `access`
* scores on their way in: `submissions`, `validation`, `review_queue`
* answers: `documents`, `listings`, `cursors`
* their description: `openapi`, `shapes`, `document_shapes`, `examples`
* `metrics`, `settings`

May import `lbactors` (never an actor); nothing of `gateway.api`, `gateway.app` or `gateway.server`.
"""
