#[pulselet::batch_function]
fn f(input: String) -> Vec<String> {
    vec![input]
}

fn main() {}
