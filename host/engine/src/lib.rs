//! pulselet-engine
