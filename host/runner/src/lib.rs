//! pulselet-runner
