-- SPDX-License-Identifier: MIT OR Apache-2.0
-- Boxes that somebody enrolled. They go with the account.

CREATE TABLE device (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- Its public key: a compressed point of P-256 in base64url.
    public_key TEXT NOT NULL UNIQUE,
    made BIGINT NOT NULL
);

CREATE INDEX device_account ON device (account);

CREATE TABLE device_token (
    -- SHA-256 of the token.
    hash TEXT NOT NULL PRIMARY KEY,
    device TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    expires BIGINT NOT NULL
);

CREATE INDEX device_token_device ON device_token (device);

-- Answers to challenges that were taken; each is good once.
CREATE TABLE answered (
    hash TEXT NOT NULL PRIMARY KEY,
    expires BIGINT NOT NULL
);
