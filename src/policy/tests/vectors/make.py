#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes the vectors beside it: an implementation of links, hosts and policies that shares nothing with the crate.

    python3 make.py           compares the files with what it makes, and fails where they differ
    python3 make.py --write   writes them

Needs Python's standard library only; P-256 is done here, slowly and not in constant time.
"""

import hashlib
import hmac
import json
import pathlib
import sys
from base64 import urlsafe_b64encode

# --- P-256 (SEC 2, 2.4.2), ECDSA with RFC 6979 nonces ---------------------------------------------------------------

FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add(p, q):
    if p is None or q is None:
        return p or q
    if p[0] == q[0] and (p[1] + q[1]) % FIELD == 0:
        return None
    if p == q:
        slope = (3 * p[0] * p[0] - 3) * pow(2 * p[1], -1, FIELD)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, FIELD)
    x = (slope * slope - p[0] - q[0]) % FIELD
    return x, (slope * (p[0] - x) - p[1]) % FIELD


def multiply(scalar, point):
    result = None
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def public(seed):
    """The compressed point of the key whose scalar is the seed."""
    x, y = multiply(int.from_bytes(seed, "big"), BASE)
    return bytes([2 + (y & 1)]) + x.to_bytes(32, "big")


def nonces(key, digest):
    """RFC 6979, 3.2, for SHA-256 and a group of 256 bits."""
    reduced = (int.from_bytes(digest, "big") % ORDER).to_bytes(32, "big")
    v, k = b"\1" * 32, b"\0" * 32
    for mark in (b"\0", b"\1"):
        k = hmac.digest(k, v + mark + key + reduced, "sha256")
        v = hmac.digest(k, v, "sha256")
    while True:
        v = hmac.digest(k, v, "sha256")
        if 0 < int.from_bytes(v, "big") < ORDER:
            yield int.from_bytes(v, "big")
        k = hmac.digest(k, v + b"\0", "sha256")
        v = hmac.digest(k, v, "sha256")


def sign(seed, message, low=True):
    digest = hashlib.sha256(message).digest()
    for nonce in nonces(seed, digest):
        r = multiply(nonce, BASE)[0] % ORDER
        s = pow(nonce, -1, ORDER) * (int.from_bytes(digest, "big") + r * int.from_bytes(seed, "big")) % ORDER
        if r and s:
            if low != (s <= ORDER // 2):
                s = ORDER - s
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")


# --- what is signed --------------------------------------------------------------------------------------------------


def b64(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def sha(data):
    return hashlib.sha256(data).digest()


def canonical(fields):
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def jws(typ, payload, seed, header=None, low=True):
    header = header or '{"alg":"ES256","typ":"roomseal-%s"}' % typ
    signed = b64(header.encode()) + "." + b64(payload)
    return signed + "." + b64(sign(seed, signed.encode(), low))


class Signed:
    """A JWS with the hash of what it signs."""

    def __init__(self, typ, fields, seed, **how):
        self.fields = fields
        payload = canonical(fields)
        self.text = jws(typ, payload, seed, **how)
        self.hash = sha(payload)


def certificate(meeting, room, host, name, **how):
    fields = {"v": 1, "meeting": b64(public(meeting)), "room": room, "host": b64(public(host)), "name": name}
    return Signed("certificate", fields, meeting, **how)


def policy(host, by, room, epoch, e2ee, prev, mark, key="user", change=None, **how):
    fields = {
        "v": 1,
        "room": room,
        "epoch": epoch,
        "e2ee": e2ee,
        "key": key,
        "nonce": b64(bytes([mark]) * 16),
        "check": b64(bytes([0xC0 ^ mark]) * 16),
        "prev": [b64(one) for one in sorted(prev)],
        "by": b64(by.hash),
        "at": 1763785200 + mark,
    }
    fields.update(change or {})
    return Signed("policy", fields, host, **how)


def vouch(host, by, of, nonce):
    return Signed("vouch", {"v": 1, "policy": b64(of.hash), "nonce": b64(nonce), "by": b64(by.hash)}, host)


def chain_message(certificates, policies):
    texts = lambda items: [item.text for item in items]
    return canonical({"t": "chain", "v": 1, "certificates": texts(certificates), "policies": texts(policies)}).decode()


def head(policies):
    """The leaf in force: on, then user, then the higher epoch, then the lower hash."""
    named = {name for one in policies for name in one.fields["prev"]}
    leaves = [one for one in policies if b64(one.hash) not in named]
    rank = lambda one: (one.fields["e2ee"] != "on", one.fields["key"] != "user", -one.fields["epoch"], one.hash)
    return min(leaves, key=rank)


def host_code(room, h):
    digest = sha(b"roomseal host code v1" + len(room).to_bytes(2, "big") + room.encode() + h)
    return " ".join("%05d" % (int.from_bytes(digest[at : at + 5], "big") % 100000) for at in range(0, 30, 5))


# --- the vectors -----------------------------------------------------------------------------------------------------

ROOM = "board-room"
seed = lambda byte: bytes([byte]) * 32
MEETING, STRANGER, ALICE, BOB = seed(1), seed(2), seed(101), seed(102)
H = sha(public(MEETING))
ALICES = certificate(MEETING, ROOM, ALICE, "Alice")
BOBS = certificate(MEETING, ROOM, BOB, 'Bob "the \\" Bauer \u00e4\u4e2d\U0001f600')


def keys():
    return {
        "comment": "A seed is the private scalar, big-endian; seeds that are none are refused. h = SHA-256(point).",
        "keys": [
            {"seed": b64(one), "point": b64(public(one)), "h": b64(sha(public(one)))}
            for one in (MEETING, STRANGER, ALICE, BOB, sha(b"roomseal"), (1).to_bytes(32, "big"))
        ],
        "refused": [b64(one.to_bytes(32, "big")) for one in (0, ORDER, ORDER + 1, 2**256 - 1)],
        "codes": [
            {"room": room, "h": b64(h), "code": host_code(room, h)}
            for room, h in ((ROOM, H), ("a", H), ("k3f-9ab-x2c", sha(public(STRANGER))))
        ],
    }


def links():
    base = "https://meet.example.org/j/board-room"
    k, h, own = b64(seed(7)), b64(H), b64(sha(b"a certificate"))
    elsewhere = certificate(MEETING, "elsewhere", ALICE, "Alice")
    root = policy(BOB, BOBS, ROOM, 1, "on", [], 9)
    armed = lambda r, by=BOBS, m="on": f"{base}#k={k}&h={h}&m={m}&r={r.text}&b={by.text}"
    good = [
        ("guest", f"{base}#k={k}&h={h}&m=on", None),
        ("guest, secret from a passphrase", f"{base}#p=1&h={h}&m=on", None),
        ("guest, secret kept by the service", f"{base}#h={h}&m=off", None),
        ("host", f"{base}#k={k}&h={h}&m=on&s={b64(ALICE)}&c={ALICES.text}", "Alice"),
        ("a service with a certificate of its own", f"https://[fd00::1]:7443/j/board-room#k={k}&h={h}&m=on&t={own}", None),
        ("on this machine", f"http://127.0.0.1:7880/j/board-room#k={k}&h={h}&m=off", None),
        ("a policy signed in advance", armed(root), None),
        ("the same for a host", f"{armed(root)}&s={b64(ALICE)}&c={ALICES.text}", "Alice"),
        ("another order", f"{base}#m=on&h={h}&k={k}", None),
        ("capitals and a port that goes without saying", f"HTTPS://Meet.Example.org:443/j/board-room#k={k}&h={h}&m=on", None),
    ]
    written = {
        "another order": f"{base}#k={k}&h={h}&m=on",
        "capitals and a port that goes without saying": f"{base}#k={k}&h={h}&m=on",
    }
    host = lambda s, c: f"{base}#k={k}&h={h}&m=on&s={b64(s)}&c={c}"
    bad = [
        ("no fragment", base),
        ("an empty fragment", base + "#"),
        ("no meeting key", f"{base}#k={k}&m=on"),
        ("not said what it was announced as", f"{base}#k={k}&h={h}"),
        ("announced as something else", f"{base}#k={k}&h={h}&m=yes"),
        ("a secret twice", f"{base}#k={k}&k={k}&h={h}&m=on"),
        ("secret and passphrase", f"{base}#k={k}&p=1&h={h}&m=on"),
        ("a secret with stray bits", f"{base}#k={k[:-1]}d&h={h}&m=on"),
        ("a secret with padding", f"{base}#k={k}=&h={h}&m=on"),
        ("a short secret", f"{base}#k={k[:-2]}&h={h}&m=on"),
        ("an unknown field", f"{base}#k={k}&h={h}&m=on&z=1"),
        ("a field in capitals", f"{base}#K={k}&h={h}&m=on"),
        ("a query", f"{base}?from=mail#k={k}&h={h}&m=on"),
        ("a room with a slash after it", f"{base}/#k={k}&h={h}&m=on"),
        ("a room that needs escaping", f"https://meet.example.org/j/board%20room#k={k}&h={h}&m=on"),
        ("another scheme", f"wss://meet.example.org/j/board-room#k={k}&h={h}&m=on"),
        ("a user name", f"https://meet.example.org@evil.example/j/board-room#k={k}&h={h}&m=on"),
        ("a seed without certificate", f"{base}#k={k}&h={h}&m=on&s={b64(ALICE)}"),
        ("a certificate without seed", f"{base}#k={k}&h={h}&m=on&c={ALICES.text}"),
        ("somebody else's certificate", host(ALICE, BOBS.text)),
        ("a certificate for another room", host(ALICE, elsewhere.text)),
        ("a certificate of another meeting", host(ALICE, certificate(STRANGER, ROOM, ALICE, "Alice").text)),
        ("a policy without certificate", f"{base}#k={k}&h={h}&m=on&r={root.text}"),
        ("the certificate of a policy alone", f"{base}#k={k}&h={h}&m=on&b={BOBS.text}"),
        ("a policy of somebody else's", armed(root, ALICES)),
        ("a policy for another room", armed(policy(BOB, BOBS, "elsewhere", 1, "on", [], 9))),
        ("a policy that is no root", armed(policy(BOB, BOBS, ROOM, 2, "on", [root.hash], 9))),
        ("a policy in advance that says off", armed(policy(BOB, BOBS, ROOM, 1, "off", [], 9))),
        ("a policy in advance of a meeting that is not announced as sealed", armed(root, BOBS, "off")),
        ("a policy that nobody signed", armed(root).replace("&r=ey", "&r=eY")),
    ]
    return {
        "comment": "What is read is written again as `written`, or as it was. `address` is all that a service may see.",
        "links": [
            {
                "what": what,
                "link": link,
                "written": written.get(what, link),
                "address": written.get(what, link).split("#")[0],
                "secret": b64(seed(7)) if "k=" in link else "passphrase" if "p=1" in link else "service",
                "announced": "on" if "m=on" in link else "off",
                "host": name,
            }
            for what, link, name in good
        ],
        "refused": [{"what": what, "link": link} for what, link in bad],
    }


def certificates():
    swap = lambda one, old, new: {**one.fields, old: new}
    forged = lambda fields, by=MEETING: jws("certificate", canonical(fields), by)
    return {
        "comment": "Read for this room and this h.",
        "room": ROOM,
        "h": b64(H),
        "certificates": [
            {
                "meeting_seed": b64(MEETING),
                "host_seed": b64(host),
                "name": one.fields["name"],
                "text": one.text,
                "hash": b64(one.hash),
            }
            for host, one in ((ALICE, ALICES), (BOB, BOBS))
        ],
        "refused": [
            {"what": "another meeting", "text": certificate(STRANGER, ROOM, ALICE, "Alice").text},
            {"what": "another room", "text": certificate(MEETING, "elsewhere", ALICE, "Alice").text},
            {"what": "signed by the host itself", "text": forged(ALICES.fields, ALICE)},
            {"what": "the higher s", "text": certificate(MEETING, ROOM, ALICE, "Alice", low=False).text},
            {"what": "a header of a policy", "text": jws("policy", canonical(ALICES.fields), MEETING)},
            {"what": "v 2", "text": forged(swap(ALICES, "v", 2))},
            {"what": "a field more", "text": forged(swap(ALICES, "admin", True))},
            {"what": "a space", "text": jws("certificate", canonical(ALICES.fields) + b" ", MEETING)},
            {"what": "no point", "text": forged(swap(ALICES, "host", b64(b"\2" + b"\xff" * 32)))},
            {"what": "a point at length", "text": forged(swap(ALICES, "host", b64(b"\4" + b"\1" * 64)))},
            {"what": "a name with a line break", "text": forged(swap(ALICES, "name", "Alice\nhost"))},
            {"what": "a name that turns the text around", "text": forged(swap(ALICES, "name", "\u202eecilA"))},
            {"what": "no name", "text": forged(swap(ALICES, "name", ""))},
        ],
    }


def chains():
    root = policy(ALICE, ALICES, ROOM, 1, "off", [], 1)
    on = policy(ALICE, ALICES, ROOM, 2, "on", [root.hash], 2)
    off = policy(ALICE, ALICES, ROOM, 3, "off", [on.hash], 3)
    # Bob, kept apart, has turned on and off, and on and off again.
    bob = [policy(BOB, BOBS, ROOM, 2, "on", [root.hash], 4)]
    for mark, e2ee in ((5, "off"), (6, "on"), (7, "off")):
        bob.append(policy(BOB, BOBS, ROOM, mark - 2, e2ee, [bob[-1].hash], mark))
    both = policy(BOB, BOBS, ROOM, 6, "off", [on.hash, bob[-1].hash], 8)
    on_server = policy(BOB, BOBS, ROOM, 2, "on", [root.hash], 9, key="server")
    twins = [policy(host, by, ROOM, 2, "on", [root.hash], 10) for host, by in ((ALICE, ALICES), (BOB, BOBS))]
    other_root = policy(BOB, BOBS, ROOM, 1, "on", [], 11)
    a, b, ab = [ALICES], [BOBS], [ALICES, BOBS]

    def merged(what, *messages, answers):
        known, steps = [], []
        for (by, policies), answer in zip(messages, answers, strict=True):
            if answer not in ("Gap", "Other"):
                known += [one for one in policies if one.hash not in [k.hash for k in known]]
            now = head(known)
            steps.append(
                {
                    "message": chain_message(by, policies),
                    "answer": answer,
                    "head": b64(now.hash),
                    "epoch": now.fields["epoch"],
                    "e2ee": now.fields["e2ee"],
                    "known": len(known),
                }
            )
        return {"what": what, "steps": steps}

    def refused(what, answer, by, policies):
        return {"what": what, "answer": answer, "message": chain_message(by, policies)}

    def alone(change=None, host=ALICE, by=ALICES, **how):
        return [policy(host, by, ROOM, 1, "off", [], 1, change=change, **how)]

    def third(prev, epoch=3, e2ee="off"):
        change = {"prev": prev}
        return [root, on, policy(ALICE, ALICES, ROOM, epoch, e2ee, [], 3, change=change)]

    h = lambda one: b64(one.hash)
    both_hashes = [b64(one) for one in sorted([root.hash, on.hash])]
    return {
        "comment": "Messages merged one after the other, the first into nothing. Read for this room and this h.",
        "room": ROOM,
        "h": b64(H),
        "policies": [
            {"host_seed": b64(host), "certificate": by.text, "text": one.text, "hash": h(one), **one.fields}
            for host, by, one in ((ALICE, ALICES, root), (ALICE, ALICES, on), (BOB, BOBS, both), (BOB, BOBS, on_server))
        ],
        "merges": [
            merged("one host", (a, [root]), (a, [on]), (a, [off]), answers=["Begun", "Extended", "Extended"]),
            merged("all at once, then again", (a, [root, on, off]), (a, [root, on, off]), (a, [on]),
                   answers=["Begun", "Same", "Behind"]),
            merged("a part that came too early", (a, [root]), (a, [off]), (a, [on, off]),
                   answers=["Begun", "Gap", "Extended"]),
            merged("an off pressed elsewhere ends nothing that its host had not seen",
                   (a, [root, on]), (ab, [root, *bob]), (b, [both]), answers=["Begun", "ForkLost", "Extended"]),
            merged("on pressed elsewhere wins over off", (ab, [root, *bob]), (a, [on]), answers=["Begun", "ForkWon"]),
            merged("user wins over server", (ab, [root, on_server]), (a, [on]), answers=["Begun", "ForkWon"]),
            merged("of two alike the lower hash wins", (ab, [root, max(twins, key=lambda one: one.hash)]),
                   (ab, [min(twins, key=lambda one: one.hash)]), answers=["Begun", "ForkWon"]),
            merged("another root", (a, [root]), (b, [other_root]), answers=["Begun", "Other"]),
        ],
        "refused": [
            refused("no root", "Gap", a, [on, off]),
            refused("a policy before its predecessor", "Gap", a, [root, off, on]),
            refused("two roots", "Order", ab, [root, other_root]),
            refused("no certificate", "NoCertificate", [], [root]),
            refused("somebody else's certificate", "NoCertificate", b, [root]),
            refused("signed by another host", "Signature", ab, alone(host=BOB)),
            refused("the higher s", "Signature", a, alone(low=False)),
            refused("alg none", "Header", a, alone(header='{"alg":"none","typ":"roomseal-policy"}')),
            refused("a key id", "Header", a, alone(header='{"alg":"ES256","typ":"roomseal-policy","kid":"1"}')),
            refused("the header of a vouch", "Header", a, alone(header='{"alg":"ES256","typ":"roomseal-vouch"}')),
            refused("another room", "OtherRoom", a, alone({"room": "elsewhere"})),
            refused("v 2", "Content", a, alone({"v": 2})),
            refused("a field more", "Content", a, alone({"more": 1})),
            refused("e2ee in capitals", "Content", a, alone({"e2ee": "OFF"})),
            refused("prev null", "Content", a, alone({"prev": None})),
            refused("a time beyond 2^53 - 1", "Content", a, alone({"at": 2**53})),
            refused("a root of epoch 2", "Order", a, alone({"epoch": 2})),
            refused("epoch 2^53 + 1", "Order", a, alone({"epoch": 2**53 + 1})),
            refused("an epoch left out", "Order", a, third([h(on)], epoch=4)),
            refused("an epoch that goes back", "Order", a, third([h(on)], epoch=2)),
            refused("predecessors in the wrong order", "Order", a, third(both_hashes[::-1])),
            refused("a predecessor twice", "Order", a, third([h(on), h(on)])),
            refused("nine predecessors", "Content", a, third([h(on)] * 9)),
            refused("off in the last epoch", "Full", a, third([h(on)], epoch=511)),
            refused("beyond the last epoch", "Order", a, third([h(on)], epoch=512, e2ee="on")),
        ],
    }


def vouches():
    root = policy(ALICE, ALICES, ROOM, 1, "off", [], 1)
    nonce, other = bytes([5]) * 16, bytes([6]) * 16
    stranger = certificate(STRANGER, ROOM, BOB, "Bob")

    def message(by, one):
        return canonical({"t": "vouch", "v": 1, "certificate": by.text, "vouch": one.text}).decode()

    elsewhere = policy(ALICE, ALICES, ROOM, 1, "off", [], 12)
    return {
        "comment": "Read with this chain and this nonce of the member.",
        "room": ROOM,
        "h": b64(H),
        "chain": chain_message([ALICES], [root]),
        "nonce": b64(nonce),
        "vouches": [
            {"host_seed": b64(host), "message": message(by, vouch(host, by, root, nonce)), "policy": b64(root.hash)}
            for host, by in ((ALICE, ALICES), (BOB, BOBS))
        ],
        "refused": [
            {"what": "to somebody else", "answer": "OtherNonce", "message": message(BOBS, vouch(BOB, BOBS, root, other))},
            {"what": "for another policy", "answer": "OtherPolicy", "message": message(BOBS, vouch(BOB, BOBS, elsewhere, nonce))},
            {"what": "another certificate", "answer": "NoCertificate", "message": message(ALICES, vouch(BOB, BOBS, root, nonce))},
            {"what": "another meeting", "answer": "OtherMeeting", "message": message(stranger, vouch(BOB, stranger, root, nonce))},
            {"what": "another key", "answer": "Signature", "message": message(BOBS, vouch(ALICE, BOBS, root, nonce))},
        ],
    }


def main():
    folder = pathlib.Path(__file__).parent
    differ = 0
    for make in (keys, links, certificates, chains, vouches):
        path = folder / (make.__name__ + ".json")
        text = json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        if "--write" in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{path} is not what this makes", file=sys.stderr)
            differ += 1
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
