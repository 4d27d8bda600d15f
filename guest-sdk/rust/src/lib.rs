//! pulselet
