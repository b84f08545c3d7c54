-- SPDX-License-Identifier: MIT OR Apache-2.0
-- What admins chose, by name; what is not here is as it comes.

CREATE TABLE setting (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Meetings that were started or scheduled here. Nothing secret of them ever comes here.
CREATE TABLE meeting (
    room TEXT NOT NULL PRIMARY KEY,
    -- None: the owner's box, or an account that is gone.
    organiser TEXT REFERENCES account (id) ON DELETE SET NULL,
    -- Whether end-to-end encryption may be turned on in it.
    e2ee BOOLEAN NOT NULL,
    made BIGINT NOT NULL
);
