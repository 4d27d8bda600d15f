#[pulselet::function(batch)]
fn f(inputs: Vec<String>) -> String {
    inputs.join(" ")
}

fn main() {}
