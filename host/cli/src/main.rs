//! pulselet-cli
fn main() {}
