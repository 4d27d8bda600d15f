#[pulselet::function]
fn f(input: impl AsRef<str>) -> String {
    input.as_ref().to_owned()
}

fn main() {}
