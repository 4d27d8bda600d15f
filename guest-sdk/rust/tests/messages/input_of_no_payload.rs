#[pulselet::function]
fn f(input: u64) -> String {
    input.to_string()
}

fn main() {}
