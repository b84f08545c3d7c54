# SPDX-License-Identifier: MIT OR Apache-2.0
"""What schemathesis does beside its own: how requests come to a hub, and what every refusal has to say.

In the environment: ROOMSEAL_SESSION, the cookie of an admin as NAME=VALUE; ROOMSEAL_ROOM, a meeting that has been
started; ROOMSEAL_TOKEN, with which its host joins it. Requests have them by turns.
"""

import itertools
import os

import schemathesis

session, _, value = os.environ["ROOMSEAL_SESSION"].partition("=")
turns = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    turn = next(turns)
    case.headers["Roomseal-Request"] = "1"
    # As many addresses, so that few are held up for trying too often.
    case.headers["X-Forwarded-For"] = f"2001:db8:{turn >> 8:x}:{turn & 255:x}::1"
    case.cookies.clear()
    if turn % 4 == 0:
        return
    case.headers.pop("Authorization", None)
    case.cookies[session] = value
    if turn % 4 > 1 and "room" in case.path_parameters and case.path.startswith("/api/meetings/"):
        case.path_parameters["room"] = os.environ["ROOMSEAL_ROOM"]
        case.headers["Authorization"] = "Bearer " + os.environ["ROOMSEAL_TOKEN"]


@schemathesis.check
def refusals_say_what_to_do(context, response, case):
    """Whatever is refused is told why (RFC 9457); what Plug-N-Meet's integrations ask, in its own shape."""
    if response.status_code < 400:
        return
    body = response.json()
    if case.path.startswith("/auth/"):
        assert body["status"] is False and len(body["msg"]) > 15, body
        return
    kind = response.headers["content-type"][0]
    assert kind == "application/problem+json", kind
    assert body["status"] == response.status_code, body
    assert body["type"].startswith("urn:roomseal:problem:") and len(body["detail"]) > 15, body
