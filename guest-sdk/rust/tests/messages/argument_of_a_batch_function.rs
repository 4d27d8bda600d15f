#[pulselet::batch_function(100)]
fn f(inputs: Vec<String>) -> Vec<String> {
    inputs
}

fn main() {}
