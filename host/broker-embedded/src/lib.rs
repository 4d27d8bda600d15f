//! pulselet-broker-embedded
