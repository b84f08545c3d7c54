#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes `envelopes.json` beside it: an implementation of sealed host links that shares nothing with the crate.

    python3 envelopes.py           compares the file with what it makes, and fails where they differ
    python3 envelopes.py --write   writes it

Needs Python's standard library and, for P-256, `src/policy/tests/vectors/make.py`. HPKE and AES-GCM are done here, slowly
and not in constant time; before anything is made, the example of RFC 9180, A.3.1, has to come out.
"""

import hashlib
import hmac
import importlib.util
import json
import pathlib
import sys
from base64 import urlsafe_b64encode

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
CURVE = HERE.parents[1] / "policy/tests/vectors/make.py"
spec = importlib.util.spec_from_file_location("curve", CURVE)
curve = importlib.util.module_from_spec(spec)
spec.loader.exec_module(curve)

# --- AES-GCM (FIPS 197, SP 800-38D) ---------------------------------------------------------------------------------


def times2(byte):
    return (byte << 1 ^ (0x11B if byte & 0x80 else 0)) & 0xFF


def boxes():
    """The S-box, from powers of 3 and their inverses."""
    powers = [1]
    while len(powers) < 255:
        powers.append(powers[-1] ^ times2(powers[-1]))
    box = [0x63] * 256
    for exponent, byte in enumerate(powers):
        inverse = powers[-exponent % 255]
        turned = 0
        for shift in range(5):
            turned ^= inverse << shift | inverse >> (8 - shift)
        box[byte] = turned & 0xFF ^ 0x63
    return box


BOX = boxes()


def schedule(key):
    words = [key[at : at + 4] for at in range(0, len(key), 4)]
    count, round_constant = len(words), 1
    for at in range(count, 4 * (count + 7)):
        word = words[-1]
        if at % count == 0:
            word = bytes(BOX[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ round_constant]) + word[1:]
            round_constant = times2(round_constant)
        elif count == 8 and at % count == 4:
            word = bytes(BOX[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(words[at - count], word)))
    return [b"".join(words[at : at + 4]) for at in range(0, len(words), 4)]


def block(keys, state):
    state = bytes(a ^ b for a, b in zip(state, keys[0]))
    for number, key in enumerate(keys[1:], 1):
        state = [BOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16)]
        if number < len(keys) - 1:
            mixed = []
            for column in range(0, 16, 4):
                a = state[column : column + 4]
                whole = a[0] ^ a[1] ^ a[2] ^ a[3]
                mixed += [a[i] ^ whole ^ times2(a[i] ^ a[(i + 1) % 4]) for i in range(4)]
            state = mixed
        state = bytes(a ^ b for a, b in zip(state, key))
    return state


def multiply(x, y):
    z = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            z ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return z


def aes_gcm(key, nonce, aad, text):
    keys = schedule(key)
    stream = b"".join(
        block(keys, nonce + (2 + at).to_bytes(4, "big")) for at in range(-(-len(text) // 16))
    )
    sealed = bytes(a ^ b for a, b in zip(text, stream))
    h = int.from_bytes(block(keys, bytes(16)), "big")
    y = 0
    pad = lambda part: part + bytes(-len(part) % 16)
    lengths = (8 * len(aad)).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    hashed = pad(aad) + pad(sealed) + lengths
    for at in range(0, len(hashed), 16):
        y = multiply(y ^ int.from_bytes(hashed[at : at + 16], "big"), h)
    mask = block(keys, nonce + bytes([0, 0, 0, 1]))
    return sealed + bytes(a ^ b for a, b in zip(y.to_bytes(16, "big"), mask))


# --- HPKE, base mode (RFC 9180) with DHKEM(P-256, HKDF-SHA256) and HKDF-SHA256 --------------------------------------

KEM = b"KEM" + (0x0010).to_bytes(2, "big")


def extract(suite, salt, label, ikm):
    return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, hashlib.sha256)


def expand(suite, prk, label, info, length):
    info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    out, last, at = b"", b"", 1
    while len(out) < length:
        last = hmac.digest(prk, last + info + bytes([at]), hashlib.sha256)
        out, at = out + last, at + 1
    return out[:length]


def uncompressed(point):
    return b"\4" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def derive(ikm):
    """7.1.3; the scalar of a key pair."""
    prk = extract(KEM, b"", b"dkp_prk", ikm)
    for counter in range(256):
        scalar = int.from_bytes(expand(KEM, prk, b"candidate", bytes([counter]), 32), "big")
        if 0 < scalar < curve.ORDER:
            return scalar
    raise ValueError("no key")


def seal_base(key_bytes, public, info, aad, text, ikm):
    ephemeral = derive(ikm)
    enc = uncompressed(curve.multiply(ephemeral, curve.BASE))
    dh = curve.multiply(ephemeral, public)[0].to_bytes(32, "big")
    eae = extract(KEM, b"", b"eae_prk", dh)
    shared = expand(KEM, eae, b"shared_secret", enc + uncompressed(public), 32)
    aead = {16: 1, 32: 2}[key_bytes]
    suite = b"HPKE" + b"".join(part.to_bytes(2, "big") for part in (0x0010, 0x0001, aead))
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared, b"secret", b"")
    key = expand(suite, secret, b"key", context, key_bytes)
    nonce = expand(suite, secret, b"base_nonce", context, 12)
    return enc, aes_gcm(key, nonce, aad, text)


def check_rfc():
    """RFC 9180, A.3.1."""
    public = curve.multiply(
        0xF3CE7FDAE57E1A310D87F1EBBDE6F328BE0A99CDBCADF4D6589CF29DE4B8FFD2, curve.BASE
    )
    _, sealed = seal_base(
        16,
        public,
        b"Ode on a Grecian Urn",
        b"Count-0",
        b"Beauty is truth, truth beauty",
        bytes.fromhex("4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e"),
    )
    assert sealed.hex() == (
        "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434"
    )
    # FIPS 197, C.3: the longer key.
    keys = schedule(bytes(range(32)))
    assert block(keys, bytes.fromhex("00112233445566778899aabbccddeeff")).hex() == (
        "8ea2b7ca516745bfeafc49904b496089"
    )


# --- the links ------------------------------------------------------------------------------------------------------


def envelope(seed, room, link, ikm):
    public = curve.multiply(int.from_bytes(seed, "big"), curve.BASE)
    aad = room.encode() + b"\0" + curve.public(seed)
    enc, sealed = seal_base(32, public, b"roomseal host link v1", aad, link.encode(), ikm)
    return urlsafe_b64encode(b"\1" + enc + sealed).rstrip(b"=").decode()


def main():
    check_rfc()
    made = []
    for number, (room, link) in enumerate(
        [
            ("board-room", "https://meet.example.org/j/board-room#k=AAAA&h=BBBB&m=on&s=CCCC&c=DDDD"),
            ("k3f-9ab-x2c", ""),
            ("R", "l" * 1500 + "\u00fc"),
        ]
    ):
        seed = hashlib.sha256(b"device %d" % number).digest()
        ikm = hashlib.sha256(b"ephemeral %d" % number).digest()
        made.append(
            {
                "seed": seed.hex(),
                "public": curve.public(seed).hex(),
                "random": ikm.hex(),
                "room": room,
                "link": link,
                "sealed": envelope(seed, room, link, ikm),
            }
        )
    text = json.dumps({"envelopes": made}, indent=1) + "\n"
    path = HERE / "envelopes.json"
    if "--write" in sys.argv:
        path.write_text(text)
    elif path.read_text() != text:
        sys.exit(f"{path} is not what this makes")


main()
