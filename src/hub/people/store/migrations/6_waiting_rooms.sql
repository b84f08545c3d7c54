-- SPDX-License-Identifier: MIT OR Apache-2.0
-- Whether people wait until a host lets them in.
ALTER TABLE meeting ADD COLUMN waiting_room BOOLEAN NOT NULL DEFAULT FALSE;
