-- SPDX-License-Identifier: MIT OR Apache-2.0
-- Times are seconds since 1970. What is here works in SQLite and in PostgreSQL.

CREATE TABLE account (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'user')),
    licensed BOOLEAN NOT NULL,
    disabled BOOLEAN NOT NULL,
    -- Argon2id; none until the invitation was accepted.
    password TEXT,
    made BIGINT NOT NULL
);

CREATE TABLE session (
    -- SHA-256 of what the cookie holds.
    hash TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    made BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE INDEX session_account ON session (account);

CREATE TABLE code (
    -- The part of the code that says which it is.
    selector TEXT NOT NULL PRIMARY KEY,
    -- SHA-256 of the whole code.
    hash TEXT NOT NULL,
    purpose TEXT NOT NULL,
    account TEXT REFERENCES account (id) ON DELETE CASCADE,
    expires BIGINT NOT NULL,
    tries BIGINT NOT NULL
);

-- Names, not references: what happened stays when who did it is gone.
CREATE TABLE deed (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT,
    actor_name TEXT,
    action TEXT NOT NULL,
    subject TEXT,
    subject_name TEXT,
    address TEXT NOT NULL
);
