#[pulselet::function]
fn f(input: String) -> usize {
    input.len()
}

fn main() {}
