//! The box: command line, configuration and the daemon that puts the rooms together.
