#[pulselet::function]
fn f(input: String, key: String) -> String {
    input + &key
}

fn main() {}
