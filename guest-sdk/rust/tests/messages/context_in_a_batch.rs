use pulselet::Context;

#[pulselet::batch_function]
fn f(inputs: Vec<String>, ctx: &Context) -> Vec<String> {
    inputs
}

fn main() {}
