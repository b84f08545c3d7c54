-- SPDX-License-Identifier: MIT OR Apache-2.0
-- What happened cannot be changed nor taken out. SQLite's own way to say it; another database needs its own.

CREATE TRIGGER deed_is_not_changed BEFORE UPDATE ON deed
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;

CREATE TRIGGER deed_is_not_taken_out BEFORE DELETE ON deed
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;
