#[pulselet::batch_function]
fn f(inputs: Vec<String>) -> Vec<usize> {
    inputs.iter().map(String::len).collect()
}

fn main() {}
