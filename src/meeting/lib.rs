//! The call: who is there, what may be sent and played, what has verified.
