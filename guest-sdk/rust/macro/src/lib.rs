//! pulselet-macro
