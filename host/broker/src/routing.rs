//! Which partition, and which Key_Shared slot, a key belongs to.
