//! Camera to sealed frames, sealed frames to screen: GStreamer elements and pipelines.
