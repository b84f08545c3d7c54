-- SPDX-License-Identifier: MIT OR Apache-2.0
-- Rooms that were booked for meetings: each box, with the host link that was sealed to its key. They go with either.
CREATE TABLE booking (
    meeting TEXT NOT NULL REFERENCES meeting (room) ON DELETE CASCADE,
    device TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    -- Base64url; the hub cannot open it.
    sealed TEXT NOT NULL,
    PRIMARY KEY (meeting, device)
);

CREATE INDEX booking_device ON booking (device);
