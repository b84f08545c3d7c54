//! What crosses rooms: interop with foreign clients and servers, attacks, faults.
