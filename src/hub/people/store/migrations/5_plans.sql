-- SPDX-License-Identifier: MIT OR Apache-2.0
-- What hosts say of their meetings. All of it goes to everybody in the meeting; nothing here is secret.

-- Who knows the meeting's secret.
ALTER TABLE meeting ADD COLUMN key_model TEXT NOT NULL DEFAULT 'user' CHECK (key_model IN ('user', 'server'));

-- SHA-256 of the meeting's key in base64url, by which its hosts are known; none: not told.
ALTER TABLE meeting ADD COLUMN meeting_key TEXT;

-- The hosts' policies, signed, as one JSON text; and whether the last one turns end-to-end encryption on or off.
ALTER TABLE meeting ADD COLUMN policy TEXT;
ALTER TABLE meeting ADD COLUMN said TEXT CHECK (said IN ('on', 'off'));

-- Of a scheduled meeting.
ALTER TABLE meeting ADD COLUMN title TEXT;
ALTER TABLE meeting ADD COLUMN starts BIGINT;
ALTER TABLE meeting ADD COLUMN ends BIGINT;

-- The name of the session, for who has meetings made by the API of Plug-N-Meet.
ALTER TABLE meeting ADD COLUMN session TEXT;

CREATE INDEX meeting_organiser ON meeting (organiser);
