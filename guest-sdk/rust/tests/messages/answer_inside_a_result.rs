#[pulselet::function]
fn f(input: &str) -> Result<Option<u64>, std::num::ParseIntError> {
    input.parse().map(Some)
}

fn main() {}
