// SPDX-License-Identifier: MIT OR Apache-2.0
// The official client lies beside the page as one file of its own.
export * from 'livekit-client';
