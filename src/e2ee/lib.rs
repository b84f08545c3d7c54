//! Keys, derivations, key ring, frame formats and replay: bytes in, bytes out.
