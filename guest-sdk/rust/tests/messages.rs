//! What the compiler says of functions that are not written as they must be.

#[test]
fn a_wrong_function_is_told_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/messages/*.rs");
}
